/** How much room a message takes on the screen, guessed from its text: what a long conversation reserves for what it has not drawn. */

const LINE_PIXELS = 26;
/** The buttons and the line below a message, and the gaps. */
const AROUND_PIXELS = 56;

/**
 * Pixels from top to bottom. A guess: text in lines of `perLine` letters, as wide in Markdown as in words. What is drawn takes its real room.
 */
export function roomFor(text: string, perLine: number): number {
  let lines = 0;
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf("\n", at);
    const end = newline < 0 ? text.length : newline;
    lines += Math.max(0.5, Math.ceil((end - at) / perLine));
    at = end + 1;
  }
  return Math.round(Math.max(1, lines) * LINE_PIXELS + AROUND_PIXELS);
}
