/** Colours for code: loaded when the first code block is drawn, and not before. */
import type { createLowlight } from "lowlight";

type Highlighter = ReturnType<typeof createLowlight>;

let highlighter: Highlighter | undefined;
let loading: Promise<Highlighter> | undefined;

/** The highlighter, if it is there already. */
export function readyHighlighter(): Highlighter | undefined {
  return highlighter;
}

/** Loads the highlighter with the languages that answers mostly hold. */
export function loadHighlighter(): Promise<Highlighter> {
  loading ??= import("./languages").then(({ highlighter: loaded }) => (highlighter = loaded));
  return loading;
}
