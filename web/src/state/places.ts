/**
 * Where the reader is in conversations: where they left one that is shown again, and the message of one that they look for.
 *
 * Kept until the page is closed. A conversation without a place is shown at its end.
 */
import { createStore } from "zustand/vanilla";

/** A message, and how far below the upper edge it begins, pixels. */
export interface Place {
  readonly messageId: string;
  readonly offset: number;
}

const left = new Map<string, Place>();

/** Where a conversation was left, by its key. None when that was its end. */
export function placeOf(key: string): Place | undefined {
  return left.get(key);
}

/** Remembers where a conversation was left; without a place, that it was at its end. */
export function leaveAt(key: string, place: Place | undefined): void {
  if (place) left.set(key, place);
  else left.delete(key);
}

/** The message that is looked for. Another object with each search, also for the same message. */
export const sought = createStore<{ readonly wanted: { readonly messageId: string } | undefined }>(() => ({ wanted: undefined }));

/** Shows a message of a conversation once that is on the screen. */
export function seek(messageId: string): void {
  sought.setState({ wanted: messageId ? { messageId } : undefined });
}

/** It is on the screen, or it is not to be had. */
export function sawIt(): void {
  sought.setState({ wanted: undefined });
}
