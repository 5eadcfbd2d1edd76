/** Where the words of a search stand in a text. */

/** A piece of a text, and whether it is one of the words. */
export interface Piece {
  readonly text: string;
  readonly found: boolean;
}

/** Cuts a text at the words of a search, in any case. Together the pieces are the text. */
export function cutAtWords(text: string, query: string): Piece[] {
  // Longer words first: where one is the beginning of another, the whole of it is marked.
  const words = [...new Set(query.trim().split(/\s+/))].filter(Boolean).sort((one, other) => other.length - one.length);
  if (words.length === 0) return [{ text, found: false }];
  const pattern = new RegExp(`(${words.map((word) => word.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "giu");
  // What a pattern in brackets splits by stands at every second place.
  return text.split(pattern).flatMap((piece, index) => (piece ? [{ text: piece, found: index % 2 === 1 }] : []));
}
