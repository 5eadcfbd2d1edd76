/** What an answer took, in one quiet line. */
import { Check, Copy } from "lucide-react";
import type { ReactNode } from "react";
import { Route, type Message } from "@parley/protos/parley/chat/v1/message_pb";
import { useCopy } from "../parts/buttons";
import { Hint } from "../parts/Hint";
import { count, dollars, duration } from "../text/figures";

export const ROUTE_NAMES: Partial<Record<Route, string>> = {
  [Route.AUTOMATIC]: "Automatic",
  [Route.STANDARD]: "Standard",
  [Route.ENHANCED]: "Enhanced",
};

export function Figures({ message, routeReason }: { message: Message; routeReason: string }) {
  const { route, model, usage, traceId } = message;
  const about = usage?.estimated ? "about " : "";
  const figures: ReactNode[] = [];
  const routeName = ROUTE_NAMES[route];
  if (routeName) {
    figures.push(
      routeReason ? (
        <Hint text={`Chosen because: ${routeReason}`}>
          <button type="button" className="cursor-help rounded-sm hover:text-ink">
            {routeName}
          </button>
        </Hint>
      ) : (
        routeName
      ),
    );
  }
  if (model) figures.push(<span className="break-all">{model}</span>);
  if (usage) {
    if (usage.timeToFirstTokenMs > 0) figures.push(`first word ${duration(usage.timeToFirstTokenMs)}`);
    figures.push(`${duration(usage.durationMs)} in all`);
    figures.push(
      <span aria-label={`${about}${usage.inputTokens} tokens read, ${usage.outputTokens} written`}>
        {about}
        {count(usage.inputTokens)} → {count(usage.outputTokens)} tokens
      </span>,
    );
    const cost = usage.costUsdMicros;
    if (cost !== undefined) figures.push(`${cost ? about : ""}${dollars(cost)}`);
  }
  if (traceId) figures.push(<Trace traceId={traceId} />);
  if (figures.length === 0) return null;
  return (
    <ul aria-label="About this answer" className="flex flex-wrap items-center gap-x-3 text-xs leading-6 text-quiet tabular-nums">
      {figures.map((figure, index) => (
        <li key={index}>{figure}</li>
      ))}
    </ul>
  );
}

function Trace({ traceId }: { traceId: string }) {
  const { copied, copy } = useCopy();
  return (
    <Hint text={copied ? "Copied" : `Copy trace ${traceId}`}>
      <button
        type="button"
        onClick={() => void copy(traceId)}
        className="inline-flex items-center gap-1 rounded-sm hover:text-ink"
      >
        <span>
          <span className="sr-only">Copy </span>trace {traceId.slice(0, 8)}
        </span>
        {copied ? <Check className="size-3 text-good" aria-hidden="true" /> : <Copy className="size-3" aria-hidden="true" />}
      </button>
    </Hint>
  );
}
