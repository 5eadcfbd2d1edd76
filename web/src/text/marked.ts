/** Words of a question where they stand in a snippet. */
import { utf16Index } from "./codePoints";

/** A part of a text, and whether it is to be seen as found. */
export interface Piece {
  readonly text: string;
  readonly marked: boolean;
}

/** Cuts a text at what is marked in it. Offsets are in code points, in their order; what is out of order or of the text is left out. */
export function pieces(text: string, marks: readonly { readonly startOffset: number; readonly endOffset: number }[]): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const { startOffset, endOffset } of marks) {
    const start = utf16Index(text, startOffset);
    const end = utf16Index(text, endOffset);
    if (start < at || end <= start) continue;
    if (start > at) found.push({ text: text.slice(at, start), marked: false });
    found.push({ text: text.slice(start, end), marked: true });
    at = end;
  }
  if (at < text.length) found.push({ text: text.slice(at), marked: false });
  return found;
}
