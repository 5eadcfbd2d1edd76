/** What the reader might say next: a press sends it. */
import { ArrowUpRight } from "lucide-react";
import { useEffect } from "react";
import { useStore } from "zustand";
import type { PromptSuggestion } from "@parley/protos/parley/chat/v1/chat_service_pb";
import { Hint } from "../parts/Hint";
import { suggestions as state } from "../state/app";
import { placeOf } from "../state/suggestions";
import { ROUTE_NAMES } from "./Figures";

/** The suggestions for the end of a conversation; undefined while they are on their way. Without a session, those to begin with. */
export function useSuggestions(sessionId: string | undefined, tipMessageId: string): readonly PromptSuggestion[] | undefined {
  useEffect(() => {
    void state.ask(sessionId, tipMessageId);
  }, [sessionId, tipMessageId]);
  return useStore(state.store, (known) => known[placeOf(sessionId, tipMessageId)]);
}

interface SuggestionsProps {
  sessionId: string;
  /** The newest message. */
  tipMessageId: string;
  onAsk: (prompt: string) => void;
}

/** Chips below an answer. */
export function Suggestions({ sessionId, tipMessageId, onAsk }: SuggestionsProps) {
  const suggestions = useSuggestions(sessionId, tipMessageId);
  if (!suggestions?.length) return null;
  return (
    // In the log of the conversation, which is read out: what the reader has not said is not.
    <ul aria-label="Suggestions" aria-live="off" className="-mt-2 flex animate-rise flex-wrap gap-2">
      {suggestions.map(({ prompt, route, reason }) => (
        <li key={prompt} className="max-w-full">
          <Hint text={`${ROUTE_NAMES[route] ?? ""} route: ${reason}`}>
            <button
              type="button"
              onClick={() => onAsk(prompt)}
              className="flex min-h-9 max-w-full items-center gap-1.5 rounded-2xl border border-line px-3 py-1.5 text-left text-[0.8125rem] leading-snug transition-colors hover:border-transparent hover:bg-hover"
            >
              <span className="line-clamp-2 min-w-0 wrap-anywhere">{prompt}</span>
              <ArrowUpRight className="size-3.5 shrink-0 text-quiet" aria-hidden="true" />
            </button>
          </Hint>
        </li>
      ))}
    </ul>
  );
}

/** Cards below the composer of a new conversation. As high while they are on their way. */
export function FirstQuestions({ onAsk }: { onAsk: (prompt: string) => void }) {
  const suggestions = useSuggestions(undefined, "");
  return (
    <ul className="mt-6 grid gap-2 sm:grid-cols-2" aria-label="First questions" aria-busy={!suggestions}>
      {suggestions
        ? suggestions.map(({ prompt, reason }) => (
            <li key={prompt}>
              <button
                type="button"
                onClick={() => onAsk(prompt)}
                className="flex h-full w-full flex-col rounded-2xl border border-line px-4 py-3 text-left transition-colors hover:border-transparent hover:bg-hover"
              >
                <span className="line-clamp-2 font-medium wrap-anywhere">{prompt}</span>
                <span className="line-clamp-2 text-sm text-quiet">{sentence(reason)}</span>
              </button>
            </li>
          ))
        : [1, 2, 3, 4].map((place) => <li key={place} className="h-[4.4rem] animate-breathe rounded-2xl bg-sunken" />)}
    </ul>
  );
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
