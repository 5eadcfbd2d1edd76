/**
 * Cuts Markdown into its top-level blocks.
 *
 * While an answer grows, only its last block changes: the ones before are drawn once. And in a document the blocks of a cited passage can be
 * marked. This is no parser: where it is unsure it keeps lines together, which costs time and is never wrong.
 */

/** A block, with where it stands in the text (UTF-16 indices). */
export interface Block {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const CONTINUES = /^(?: {2,}|\t|\s*[-*+]\s|\s*\d{1,9}[.)]\s)/;
const LIST_ITEM = /^ {0,3}(?:[-*+]|\d{1,9}[.)])\s/;
const DEFINITION = /^ {0,3}\[[^\]]+\]:/m;

/** The blocks of a text, in order. Together with the blank lines between them they are the text. */
export function blocks(markdown: string): Block[] {
  // A definition reaches every block: then the text is one.
  if (DEFINITION.test(markdown)) return markdown.trim() ? [{ start: 0, end: markdown.length, text: markdown }] : [];

  const found: Block[] = [];
  let start = -1;
  let end = 0;
  let fence: string | undefined;
  let blankBefore = false;
  let inList = false;

  const close = () => {
    if (start >= 0) found.push({ start, end, text: markdown.slice(start, end) });
    start = -1;
  };

  for (let at = 0; at < markdown.length; ) {
    const newline = markdown.indexOf("\n", at);
    const lineEnd = newline < 0 ? markdown.length : newline + 1;
    const line = markdown.slice(at, newline < 0 ? lineEnd : newline);
    const mark = FENCE.exec(line)?.[1];

    if (fence !== undefined) {
      end = lineEnd;
      if (mark?.startsWith(fence) && line.trim() === mark) fence = undefined;
    } else if (line.trim() === "") {
      blankBefore = true;
    } else {
      const joins = start >= 0 && (!blankBefore || (inList && CONTINUES.test(line)));
      if (!joins) {
        close();
        start = at;
        inList = LIST_ITEM.test(line);
      }
      if (mark !== undefined) fence = mark;
      end = lineEnd;
      blankBefore = false;
    }
    at = lineEnd;
  }
  close();
  return found;
}

/** A block, and whether it is part of a passage. */
export interface MarkedBlock extends Block {
  readonly marked: boolean;
}

/**
 * The blocks of a text, those of a passage marked. A paragraph that the passage begins or ends in is cut there; other blocks (lists, tables,
 * code) stay whole, because half of one would not be one.
 */
export function markPassage(markdown: string, from: number, to: number): MarkedBlock[] {
  return blocks(markdown).flatMap((block) => {
    if (block.end <= from || block.start >= to) return [{ ...block, marked: false }];
    const cuts = isParagraph(block.text) ? [from, to].filter((cut) => cut > block.start && cut < block.end) : [];
    const edges = [block.start, ...cuts, block.end];
    return edges.slice(1).flatMap((end, index) => {
      const start = edges[index]!;
      const text = markdown.slice(start, end);
      const marked = cuts.length === 0 || (start >= from && end <= to);
      return text.trim() ? [{ start, end, text, marked }] : [];
    });
  });
}

function isParagraph(block: string): boolean {
  return !FENCE.test(block) && !LIST_ITEM.test(block) && !/^ {0,3}(?:#|>|\||<|\[| {4})/.test(block) && !/^\s*\|?.*\|.*\n\s*\|?[\s:-]*-/.test(block);
}
