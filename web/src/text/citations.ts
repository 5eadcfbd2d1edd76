/** Finds the markers of citations, `[1]`, in text and in the tree of a Markdown text. */

/** A piece of a text: words, or the number of a citation. */
export type Piece = string | number;

const MARKER = /\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]/g;

/** Cuts a text at its markers. Numbers that no citation has stay words. */
export function cutAtMarkers(text: string, known: ReadonlySet<number>): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(MARKER)) {
    const numbers = match[1]!.split(",").map(Number);
    if (!numbers.every((number) => known.has(number))) continue;
    if (match.index > at) pieces.push(text.slice(at, match.index));
    pieces.push(...numbers);
    at = match.index + match[0].length;
  }
  if (at < text.length) pieces.push(text.slice(at));
  return pieces;
}

/** What is needed of a node of a HTML tree (hast). */
interface Node {
  type: string;
  tagName?: string;
  value?: string;
  properties?: Record<string, unknown>;
  children?: Node[];
}

const NOT_INSIDE = new Set(["code", "pre", "a"]);

/** A rehype plugin: markers in running text become `<cite data-number="1">`. */
export function rehypeCitations(known: ReadonlySet<number>) {
  const walk = (node: Node) => {
    if (!node.children || NOT_INSIDE.has(node.tagName ?? "")) return;
    node.children = node.children.flatMap((child) => {
      if (child.type !== "text" || child.value === undefined) {
        walk(child);
        return [child];
      }
      return cutAtMarkers(child.value, known).map((piece): Node =>
        typeof piece === "string"
          ? { type: "text", value: piece }
          : { type: "element", tagName: "cite", properties: { dataNumber: piece }, children: [] },
      );
    });
  };
  return () => (tree: unknown) => walk(tree as Node);
}

/** The headings above a passage, without the document's own title, which is shown beside them anyway. */
export function headingWithin(title: string, heading: string): string {
  if (heading === title) return "";
  return heading.startsWith(`${title} › `) ? heading.slice(title.length + 3) : heading;
}
