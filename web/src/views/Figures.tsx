/** What an answer took: one quiet line, and a card with all of it on demand. */
import { Check, ChevronDown, Copy, Workflow } from "lucide-react";
import { Popover } from "radix-ui";
import { lazy, Suspense, useEffect, useState, type ReactNode } from "react";
import { Route, type Message, type Usage } from "@parley/protos/parley/chat/v1/message_pb";
import type { UsageRow } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { Boundary } from "../parts/Boundary";
import { Button, useCopy } from "../parts/buttons";
import { useLayer } from "../parts/layer";
import { parley } from "../rpc/parley";
import { count, dollars, duration, perSecond, roughly } from "../text/figures";
import { TraceLink } from "./TraceLink";

const TraceView = lazy(() => import("./TraceView").then((module) => ({ default: module.TraceView })));

export const ROUTE_NAMES: Partial<Record<Route, string>> = {
  [Route.AUTOMATIC]: "Automatic",
  [Route.STANDARD]: "Standard",
  [Route.ENHANCED]: "Enhanced",
};

export function Figures({ message, routeReason }: { message: Message; routeReason: string }) {
  const layer = useLayer();
  const [open, setOpen] = useState(false);
  const [tracing, setTracing] = useState(false);
  const { route, model, usage, traceId } = message;
  const line = figuresOf(message).filter(({ words }) => words);
  if (line.length === 0) return null;
  return (
    <>
      <Popover.Root open={open} onOpenChange={setOpen}>
        <Popover.Trigger
          className="group/figures inline-flex min-h-7 min-w-0 flex-wrap items-center gap-x-1.5 rounded-lg px-1.5 text-left text-xs text-quiet tabular-nums transition-colors hover:bg-hover hover:text-ink data-[state=open]:bg-hover data-[state=open]:text-ink"
        >
          <span className="sr-only">About this answer: </span>
          {line.map(({ words, where }, index) => (
            <span key={index} className={where}>
              {index > 0 && (
                <span className="mr-1.5" aria-hidden="true">
                  ·
                </span>
              )}
              {words}
            </span>
          ))}
          <ChevronDown className="size-3 shrink-0 transition-transform group-data-[state=open]/figures:rotate-180" aria-hidden="true" />
        </Popover.Trigger>
        <Popover.Portal container={layer}>
          <Popover.Content
            side="top"
            align="start"
            sideOffset={6}
            collisionPadding={12}
            aria-label="About this answer"
            className="z-40 max-h-(--radix-popover-content-available-height) w-[min(24rem,calc(100vw-1.5rem))] overflow-y-auto rounded-2xl border border-line bg-raised p-4 text-sm shadow-float outline-none data-[state=open]:animate-rise"
          >
            <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 tabular-nums">
              {ROUTE_NAMES[route] && (
                <Figure name="Route">
                  <span className="font-medium">{ROUTE_NAMES[route]}</span>
                  {(message.routeReason || routeReason) && (
                    <span className="block text-[0.8125rem] text-pretty text-quiet">{message.routeReason || routeReason}</span>
                  )}
                </Figure>
              )}
              {model && (
                <Figure name="Model">
                  <span className="break-all">{model}</span>
                </Figure>
              )}
              {usage && <Amounts usage={usage} />}
              <SessionAmounts sessionId={message.sessionId} />
              {traceId && (
                <Figure name="Trace">
                  <Trace traceId={traceId} />
                </Figure>
              )}
            </dl>
            {traceId && (
              <Button
                className="mt-3 w-full"
                onClick={() => {
                  setOpen(false);
                  setTracing(true);
                }}
              >
                <Workflow className="size-4" aria-hidden="true" />
                What happened inside
              </Button>
            )}
            {traceId && <TraceLink traceId={traceId} className="mt-2 w-full justify-center" />}
          </Popover.Content>
        </Popover.Portal>
      </Popover.Root>
      {tracing && (
        <Boundary instead={null}>
          <Suspense>
            <TraceView traceId={traceId} onClose={() => setTracing(false)} />
          </Suspense>
        </Boundary>
      )}
    </>
  );
}

/** The line, in order. On a phone there is room for how long it took, and not for all else. */
function figuresOf({ route, model, usage }: Message): { words: string | undefined; where?: string }[] {
  const { timeToFirstTokenMs: first = 0, durationMs = 0, inputTokens = 0, outputTokens = 0, estimated, costUsdMicros: cost } = usage ?? {};
  const about = estimated ? "about " : "";
  const writing = first > 0 ? durationMs - first : 0;
  const wide = "hidden sm:inline";
  return [
    { words: ROUTE_NAMES[route] },
    { words: model, where: "min-w-0 truncate max-w-48" },
    ...(usage
      ? [
          { words: duration(durationMs), where: first > 0 ? "sm:hidden" : "" },
          { words: first > 0 ? `first word ${duration(first)}` : "", where: wide },
          { words: writing > 0 && outputTokens > 0 ? `${about}${perSecond(outputTokens, writing)} tokens/s` : "", where: wide },
          { words: `${about}${roughly(inputTokens + outputTokens)} tokens`, where: wide },
          { words: cost ? dollars(cost) : "" },
        ]
      : []),
  ];
}

/** What the whole conversation took until now, once that is known. */
function SessionAmounts({ sessionId }: { sessionId: string }) {
  const [total, setTotal] = useState<UsageRow>();
  useEffect(() => {
    let gone = false;
    void import("../state/sessionUsage")
      .then(({ usageOfSession }) => usageOfSession(parley, sessionId))
      .then((row) => gone || setTotal(row))
      // The answer's own figures are there all the same.
      .catch(() => undefined);
    return () => {
      gone = true;
    };
  }, [sessionId]);
  const cost = total && (total.unpricedCount > 0n ? (total.costUsdMicros > 0n ? `, more than ${dollars(total.costUsdMicros)}` : "") : `, ${dollars(total.costUsdMicros)}`);
  return <Figure name="Conversation">{total ? `${count(Number(total.inputTokens + total.outputTokens))} tokens${cost}` : "…"}</Figure>;
}

function Amounts({ usage }: { usage: Usage }) {
  const { timeToFirstTokenMs: first, durationMs, inputTokens, outputTokens, costUsdMicros: cost } = usage;
  const about = usage.estimated ? "about " : "";
  // What a model writes before its first word shows, it does not write for the reader.
  const writing = first > 0 ? durationMs - first : 0;
  return (
    <>
      {first > 0 && <Figure name="First word">after {duration(first)}</Figure>}
      <Figure name="In all">{duration(durationMs)}</Figure>
      <Figure name="Tokens">
        {about}
        {count(inputTokens)} read, {count(outputTokens)} written
      </Figure>
      {writing > 0 && outputTokens > 0 && (
        <Figure name="Speed">
          {about}
          {perSecond(outputTokens, writing)} tokens per second
        </Figure>
      )}
      <Figure name="Cost">{cost === undefined ? "no price known" : `${cost ? about : ""}${dollars(cost)}`}</Figure>
    </>
  );
}

function Figure({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-quiet">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </>
  );
}

function Trace({ traceId }: { traceId: string }) {
  const { copied, copy } = useCopy();
  return (
    <button
      type="button"
      onClick={() => void copy(traceId)}
      className="inline-flex max-w-full items-center gap-1.5 rounded-sm text-left font-mono text-[0.6875rem] break-all hover:text-accent"
    >
      <span>
        <span className="sr-only">Copy trace </span>
        {traceId}
      </span>
      {copied ? <Check className="size-3.5 shrink-0 text-good" aria-hidden="true" /> : <Copy className="size-3.5 shrink-0 text-quiet" aria-hidden="true" />}
    </button>
  );
}
