/** The trace of an answer: asked for when somebody looks, and again for what came later. */
import { Code } from "@connectrpc/connect";
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import type { Span } from "@parley/protos/parley/telemetry/v1/span_pb";
import { TraceService } from "@parley/protos/parley/telemetry/v1/trace_service_pb";

export interface TraceState {
  readonly spans: readonly Span[];
  /** The services that did not tell what they did. */
  readonly missing: readonly string[];
  /** Whether it is not kept, or not yet. */
  readonly absent: boolean;
  readonly error: ParleyError | undefined;
}

/** When to ask again for spans that end after the answer: those of the edge come within a few seconds. */
const AGAIN_MS = [1_500, 3_000, 6_000, 12_000];

/** Asks for a trace until all of it is there, or is not to be expected any more. Each answer is told. Ends when it is aborted. */
export async function readTrace(
  parley: ParleyClient,
  traceId: string,
  tell: (state: TraceState) => void,
  signal: AbortSignal,
  waits: readonly number[] = AGAIN_MS,
): Promise<void> {
  const service = parley.service(TraceService);
  for (const wait of [...waits, undefined]) {
    let state: TraceState;
    try {
      const { spans, missingServices } = await service.getTrace({ traceId }, { signal });
      state = { spans, missing: missingServices, absent: false, error: undefined };
    } catch (thrown) {
      const error = toParleyError(thrown);
      const absent = error.code === Code.NotFound;
      state = { spans: [], missing: [], absent, error: absent ? undefined : error };
    }
    if (signal.aborted) return;
    tell(state);
    if (wait === undefined || state.error || state.spans.some(({ service: name }) => name === "edge")) return;
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (signal.aborted) return;
  }
}
