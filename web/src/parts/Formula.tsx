/**
 * A formula as MathML, which the browser draws with its own fonts. A chunk of its own: KaTeX is large, and most answers have no formula.
 *
 * What KaTeX gives is taken over element by element, only those of MathML and only attributes that say how a formula looks: nothing in a text
 * can become a link, a style or a script.
 */
import katex from "katex";
import { createElement, memo, useMemo, type ReactNode } from "react";

/** The most that a formula may draw, in em, and the most macros that it may go through. */
const BOUNDS = { maxSize: 20, maxExpand: 500 };

export const Formula = memo(function Formula({ tex, display, plain }: { tex: string; display: boolean; plain: ReactNode }) {
  const drawn = useMemo(() => typeset(tex, display), [tex, display]);
  if (!drawn) return plain;
  return display ? (
    <span className="formula-display" tabIndex={0} role="group" aria-label="Formula">
      {drawn}
    </span>
  ) : (
    drawn
  );
});

/** Undefined when it is no formula that KaTeX knows. */
export function typeset(tex: string, display: boolean): ReactNode {
  let html: string;
  try {
    html = katex.renderToString(tex, { output: "mathml", displayMode: display, throwOnError: true, strict: "ignore", trust: false, ...BOUNDS });
  } catch {
    return undefined;
  }
  // A style attribute would be refused, and logged, even in a document that nobody sees. Quotes in texts are escaped: only attributes match.
  const parsed = new DOMParser().parseFromString(html.replaceAll(/ style="[^"]*"/g, ""), "text/html");
  const math = parsed.querySelector("math");
  return math ? taken(math, 0) : undefined;
}

const ELEMENTS = new Set([
  "math", "semantics", "annotation", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot", "mstyle", "merror", "mpadded", "mphantom",
  "menclose", "msub", "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd",
]);
const ATTRIBUTES = new Set([
  "accent", "accentunder", "columnalign", "columnlines", "columnspacing", "depth", "display", "displaystyle", "encoding", "fence", "form", "height", "linethickness",
  "lspace", "mathcolor", "mathbackground", "mathsize", "mathvariant", "maxsize", "minsize", "movablelimits", "notation", "rowlines", "rowspacing", "rspace",
  "scriptlevel", "separator", "stretchy", "symmetric", "voffset", "width", "xmlns",
]);

function taken(element: Element, key: number): ReactNode {
  const name = element.localName;
  const children = Array.from(element.childNodes, (child, index) =>
    child.nodeType === Node.ELEMENT_NODE ? taken(child as Element, index) : (child.textContent ?? ""),
  );
  if (!ELEMENTS.has(name)) return children;
  const attributes = Object.fromEntries(Array.from(element.attributes, ({ name, value }) => [name, value] as const).filter(([each]) => ATTRIBUTES.has(each)));
  return createElement(name, { ...attributes, key }, ...children);
}
