/** What the message would take, beside it while it is typed. */
import { useEffect, useState } from "react";
import type { Route } from "@parley/protos/parley/chat/v1/message_pb";
import { parley } from "../rpc/parley";
import { Hint } from "../parts/Hint";
import { wordsForEstimate, type EstimateWords } from "../text/estimates";

/** How long after the last letter it is asked for, milliseconds. */
const DELAY_MS = 500;

/** The words for what is typed; undefined when nothing is, and while they are not known. */
export function useEstimate(message: string, sessionId: string | undefined, route: Route, model: string): EstimateWords | undefined {
  const [words, setWords] = useState<EstimateWords>();
  const empty = message === "";
  useEffect(() => {
    if (empty) return setWords(undefined);
    const controller = new AbortController();
    const ask = async () => {
      const { estimate } = await import("../state/estimate");
      const estimated = await estimate(parley, { message, sessionId: sessionId ?? "", route, model }, controller.signal);
      if (!controller.signal.aborted) setWords(estimated && wordsForEstimate(estimated));
    };
    // Without it nothing is shown.
    const timer = setTimeout(() => void ask().catch(() => undefined), DELAY_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [message, empty, sessionId, route, model]);
  return empty ? undefined : words;
}

export function Estimate({ words }: { words: EstimateWords }) {
  return (
    <Hint text={words.long}>
      <span tabIndex={0} role="note" aria-label={words.long} className="truncate rounded-md px-1 text-xs text-quiet tabular-nums">
        {/* On a phone there is room for one of them. */}
        <span className={words.cost ? "max-sm:hidden" : ""}>{words.tokens}</span>
        {words.cost && <span className="max-sm:hidden"> · </span>}
        {words.cost}
      </span>
    </Hint>
  );
}
