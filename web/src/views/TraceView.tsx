/** What happened inside Parley while it answered: a bar for each piece of work, one under the other, over one time. */
import { CircleAlert, X } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { SpanKind, type Span } from "@parley/protos/parley/telemetry/v1/span_pb";
import { IconButton } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { wordsFor } from "../rpc/errors";
import { parley } from "../rpc/parley";
import { readTrace, type TraceState } from "../state/trace";
import { duration } from "../text/figures";
import { nameOf, waterfall, type Bar } from "../text/trace";
import { TraceLink } from "./TraceLink";

const SERVICES: Record<string, { words: string; look: string }> = {
  edge: { words: "Edge", look: "bg-line-strong" },
  chat: { words: "Chat", look: "bg-accent" },
  retrieval: { words: "Retrieval", look: "bg-good" },
  inference: { words: "Inference", look: "bg-warn" },
};

const KINDS: Partial<Record<SpanKind, string>> = { [SpanKind.SERVER]: "serves a call", [SpanKind.CLIENT]: "makes a call" };

export function TraceView({ traceId, onClose }: { traceId: string; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [trace, setTrace] = useState<TraceState>();
  useEffect(() => {
    if (!dialog.current?.open) dialog.current?.showModal();
  }, []);
  useEffect(() => {
    const ending = new AbortController();
    void readTrace(parley, traceId, setTrace, ending.signal);
    return () => ending.abort();
  }, [traceId]);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="trace-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
      className="m-auto max-h-[90dvh] w-[min(60rem,calc(100vw-1.5rem))] max-w-none overflow-y-auto rounded-2xl border border-line bg-raised p-0 text-ink shadow-float open:animate-rise"
    >
      <div className="p-4 sm:p-5">
        <div className="flex items-start gap-3">
          <h2 id="trace-title" className="min-w-0 flex-1 text-base font-semibold">
            Trace of this answer
            <span className="block font-mono text-[0.6875rem] font-normal break-all text-quiet">{traceId}</span>
          </h2>
          <IconButton label="Close" onClick={() => dialog.current?.close()} className="-mt-1 -mr-1">
            <X className="size-5" />
          </IconButton>
        </div>
        <TraceLink traceId={traceId} className="mt-1" />
        <div className="mt-3">
          {trace?.error && <Notice kind="bad">{wordsFor(trace.error)}</Notice>}
          {trace?.absent && (
            <p className="text-sm text-pretty text-quiet">
              This trace isn’t kept any more. Parley remembers the last few hundred until it is restarted, and sends them to a collector instead where one is configured.
            </p>
          )}
          {trace && trace.missing.length > 0 && (
            <div className="mb-3">
              <Notice kind="warn">Not all of it: {trace.missing.map((name) => SERVICES[name]?.words ?? name).join(" and ")} didn’t tell.</Notice>
            </div>
          )}
          {!trace && <div className="h-32 animate-breathe rounded-xl bg-hover" role="status" aria-label="Loading" />}
          {trace && trace.spans.length > 0 && <Bars spans={trace.spans} />}
        </div>
      </div>
    </dialog>
  );
}

function Bars({ spans }: { spans: readonly Span[] }) {
  const { bars, durationMs, firstTokenMs } = useMemo(() => waterfall(spans), [spans]);
  const [open, setOpen] = useState<string>();
  const services = Object.keys(SERVICES).filter((name) => spans.some(({ service }) => service === name));
  return (
    <>
      <p className="flex flex-wrap items-center gap-x-4 gap-y-1 text-xs text-quiet tabular-nums">
        <span className="text-sm font-medium text-ink">{duration(durationMs)}</span>
        {firstTokenMs !== undefined && (
          <span className="inline-flex items-center gap-1.5">
            <span className="h-3 border-l-2 border-bad" aria-hidden="true" />
            first token after {duration(firstTokenMs)}
          </span>
        )}
        {services.map((name) => (
          <span key={name} className="inline-flex items-center gap-1.5">
            <span className={`size-2 rounded-sm ${SERVICES[name]?.look}`} aria-hidden="true" />
            {SERVICES[name]?.words}
          </span>
        ))}
      </p>
      <ul aria-label="Spans" className="mt-3">
        {bars.map((bar) => (
          <Row
            key={bar.span.spanId}
            bar={bar}
            whole={durationMs}
            firstTokenMs={firstTokenMs}
            open={open === bar.span.spanId}
            onPress={() => setOpen(open === bar.span.spanId ? undefined : bar.span.spanId)}
          />
        ))}
      </ul>
    </>
  );
}

interface RowProps {
  bar: Bar;
  whole: number;
  firstTokenMs: number | undefined;
  open: boolean;
  onPress: () => void;
}

function Row({ bar: { span, depth, startMs, durationMs }, whole, firstTokenMs, open, onPress }: RowProps) {
  const service = SERVICES[span.service];
  const details = `span-${span.spanId}`;
  const part = (milliseconds: number) => `${(100 * milliseconds) / whole}%`;
  return (
    <li className="border-t border-line first:border-t-0">
      <button
        type="button"
        aria-expanded={open}
        aria-controls={open ? details : undefined}
        onClick={onPress}
        className="grid w-full grid-cols-[minmax(0,1fr)_auto] items-center gap-x-3 gap-y-1 rounded-md px-1 py-1.5 text-left text-xs transition-colors hover:bg-hover sm:grid-cols-[minmax(0,2fr)_minmax(0,3fr)_4rem]"
      >
        <span className="flex min-w-0 items-center gap-1.5" style={{ paddingLeft: `${Math.min(depth, 10) * 0.6}rem` }}>
          <span className={`size-2 shrink-0 rounded-sm ${service?.look ?? "bg-line-strong"}`} aria-hidden="true" />
          <span className="sr-only">{service?.words ?? span.service}: </span>
          <span className="truncate">{nameOf(span)}</span>
          {span.failed && (
            <>
              <CircleAlert className="size-3.5 shrink-0 text-bad" aria-hidden="true" />
              <span className="sr-only">failed</span>
            </>
          )}
        </span>
        <span className="relative order-last col-span-2 h-3 sm:order-none sm:col-span-1" aria-hidden="true">
          <span
            className={`absolute inset-y-0 min-w-[2px] rounded-sm ${span.failed ? "bg-bad" : (service?.look ?? "bg-line-strong")}`}
            style={{ left: part(startMs), width: part(durationMs) }}
          />
          {firstTokenMs !== undefined && <span className="absolute -inset-y-1.5 border-l-2 border-bad" style={{ left: part(firstTokenMs) }} />}
        </span>
        <span className="text-right text-quiet tabular-nums">{duration(durationMs)}</span>
      </button>
      {open && (
        <dl id={details} className="mx-1 mb-2 grid gap-x-4 gap-y-0.5 rounded-lg sm:grid-cols-[auto_minmax(0,1fr)] bg-sunken px-3 py-2 text-xs break-all">
          <dt className="text-quiet">{service?.words ?? span.service}</dt>
          <dd>{[span.name, KINDS[span.kind]].filter(Boolean).join(", ")}</dd>
          <dt className="text-quiet">began after</dt>
          <dd className="tabular-nums">{duration(startMs)}</dd>
          {Object.entries(span.attributes)
            .toSorted()
            .map(([name, value]) => (
              <Attribute key={name} name={name} value={value} />
            ))}
        </dl>
      )}
    </li>
  );
}

function Attribute({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt className="font-mono text-quiet">{name}</dt>
      <dd className="font-mono">{value}</dd>
    </>
  );
}
