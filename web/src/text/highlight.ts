/** Colours for code: loaded when the first code block is drawn, and not before. */
import type { createLowlight } from "lowlight";

type Highlighter = ReturnType<typeof createLowlight>;

let highlighter: Highlighter | undefined;
let loading: Promise<Highlighter> | undefined;

/** The highlighter, if it is there already. */
export function readyHighlighter(): Highlighter | undefined {
  return highlighter;
}

/** Loads the highlighter with the languages that answers mostly hold. Undefined when it cannot be had: the code stays in one colour. */
export async function loadHighlighter(): Promise<Highlighter | undefined> {
  try {
    loading ??= import("./languages").then((languages) => languages.highlighter);
    return (highlighter = await loading);
  } catch {
    // No network, or a newer page in the place of this one. The next block of code tries again.
    loading = undefined;
    return undefined;
  }
}
