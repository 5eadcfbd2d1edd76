/** Spans as a waterfall: how deep each stands, where it begins and ends in the whole, and where the first token came. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Span } from "@parley/protos/parley/telemetry/v1/span_pb";

export interface Bar {
  readonly span: Span;
  /** How many of those shown it is within. */
  readonly depth: number;
  /** After the beginning of the whole, milliseconds. */
  readonly startMs: number;
  readonly durationMs: number;
  /** When the first token came, after the beginning of the whole, milliseconds. Undefined where none did. */
  readonly firstTokenMs: number | undefined;
}

export interface Waterfall {
  readonly bars: readonly Bar[];
  /** From the first beginning to the last end. At least 1. */
  readonly durationMs: number;
  /** When the model's first token came, after the beginning. */
  readonly firstTokenMs: number | undefined;
}

/** What a model's provider says, and what chat saw, which holds the way as well. */
const FIRST_CHUNK_SECONDS = "gen_ai.response.time_to_first_chunk";
const FIRST_TOKEN_MS = "parley.time_to_first_token_ms";

/** `spans`: in the order in which the server has them, parents first. */
export function waterfall(spans: readonly Span[]): Waterfall {
  const begun = Math.min(...spans.map(({ startTime }) => at(startTime)));
  const ended = Math.max(...spans.map(({ endTime }) => at(endTime)));
  const depths = new Map<string, number>();
  const bars = spans.map((span): Bar => {
    const depth = (depths.get(span.parentSpanId) ?? -1) + 1;
    depths.set(span.spanId, depth);
    const startMs = at(span.startTime) - begun;
    const first = firstToken(span);
    return {
      span,
      depth,
      startMs,
      durationMs: Math.max(0, at(span.endTime) - at(span.startTime)),
      firstTokenMs: first === undefined ? undefined : startMs + first,
    };
  });
  // The nearest to the provider knows best: what is deepest.
  const deepest = bars.filter(({ firstTokenMs }) => firstTokenMs !== undefined).sort((one, other) => other.depth - one.depth || one.startMs - other.startMs)[0];
  return { bars, durationMs: Math.max(1, ended - begun), firstTokenMs: deepest?.firstTokenMs };
}

function firstToken({ attributes }: Span): number | undefined {
  const seconds = Number(attributes[FIRST_CHUNK_SECONDS] ?? NaN);
  if (Number.isFinite(seconds)) return seconds * 1000;
  const milliseconds = Number(attributes[FIRST_TOKEN_MS] ?? NaN);
  return Number.isFinite(milliseconds) && milliseconds > 0 ? milliseconds : undefined;
}

function at(time: Timestamp | undefined): number {
  return time ? Number(time.seconds) * 1000 + time.nanos / 1e6 : 0;
}

/** What a span is called: an rpc without its package. */
export function nameOf({ name }: Span): string {
  return /^parley\.[\w.]+\.(\w+\/\w+)$/.exec(name)?.[1] ?? name;
}
