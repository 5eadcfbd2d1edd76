/** What the reader might say next, as the server suggests it: for each end of a conversation, asked for once. */
import type { ParleyClient } from "@parley/client";
import type { PromptSuggestion } from "@parley/protos/parley/chat/v1/chat_service_pb";
import { createStore } from "zustand/vanilla";

/** Suggestions by where they belong: see `placeOf`. None for a place whose suggestions are on their way. */
export type SuggestionsState = Readonly<Record<string, readonly PromptSuggestion[]>>;

/** How many are shown to begin with, and after an answer. */
const FIRST = 4;
const AFTER_AN_ANSWER = 3;
/** Of how many places they are kept. */
const KEPT = 24;

export class Suggestions {
  readonly store = createStore<SuggestionsState>(() => ({}));
  readonly #parley: ParleyClient;
  /** The places that were asked about. Another set for another user. */
  #asked = new Set<string>();

  constructor(parley: ParleyClient) {
    this.#parley = parley;
  }

  /** Asks for suggestions, unless they are there or on their way. When nobody answers there are none, which is no trouble worth telling. */
  async ask(sessionId: string | undefined, tipMessageId: string): Promise<void> {
    const place = placeOf(sessionId, tipMessageId);
    const asked = this.#asked;
    if (asked.has(place)) return;
    asked.add(place);
    try {
      const limit = sessionId === undefined ? FIRST : AFTER_AN_ANSWER;
      const { suggestions } = await this.#parley.chat.suggestPrompts({ sessionId: sessionId ?? "", limit });
      this.#keep(asked, place, suggestions);
    } catch {
      this.#keep(asked, place, []);
    } finally {
      // Those to begin with change with the documents: the next visit asks again, and shows these meanwhile.
      if (sessionId === undefined) asked.delete(place);
    }
  }

  #keep(asked: Set<string>, place: string, suggestions: readonly PromptSuggestion[]): void {
    // Forgotten meanwhile: they are another user's.
    if (asked !== this.#asked) return;
    const known = Object.entries(this.store.getState());
    for (const [oldest] of known.splice(0, known.length - KEPT + 1)) asked.delete(oldest);
    this.store.setState({ ...Object.fromEntries(known), [place]: suggestions }, true);
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    this.#asked = new Set();
    this.store.setState({}, true);
  }
}

/** Names the end of a conversation. Without a session, its beginning. */
export function placeOf(sessionId: string | undefined, tipMessageId: string): string {
  return `${sessionId ?? ""}/${tipMessageId}`;
}
