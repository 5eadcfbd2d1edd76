/**
 * Follows one turn to its end, over as many connections as it takes.
 *
 * The caller sees each event once and in order. A connection that is cut, falls silent or jumps over an event is replaced, and the next one
 * resumes after the last event that arrived. The iteration ends after `completed`, `failed` or `stopped`.
 */
import type { TurnEvent } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { backoffMs, pause } from "./backoff.js";
import { Connection, cut, isWorthRepeating } from "./connection.js";
import { ErrorReason, toParleyError, type ParleyError } from "./errors.js";
import type { SideName } from "./failover.js";

/** Where a reader is in a turn. */
export interface Cursor {
  /** The turn. Undefined until its first event has arrived. */
  readonly turnId: string | undefined;
  /** The `sequence` of the last event that arrived. 0 before the first. */
  readonly afterSequence: number;
}

/** Opens a connection that delivers the events after the cursor. */
export type OpenTurn = (cursor: Cursor, signal: AbortSignal) => AsyncIterable<TurnEvent>;

/** How the connection of a turn is. */
export type TurnConnection =
  | { readonly state: "connected" }
  | { readonly state: "reconnecting"; readonly failures: number; readonly delayMs: number; readonly error: ParleyError };

/** How to follow a turn. */
export interface FollowOptions {
  /** Ends the iteration with the signal's reason. The turn goes on: `stopReply` is what ends it. */
  readonly signal?: AbortSignal;
  /** Is told when the connection is lost and when events arrive again. */
  readonly onConnection?: (connection: TurnConnection) => void;
  /** How many attempts in a row may fail without a new event before the error is thrown. 16 when absent (about a minute). */
  readonly maxFailures?: number;
  /** How long a connection may be silent before it is replaced, milliseconds. 45,000 when absent. */
  readonly idleMs?: number;
  /** Which Parley has the turn, for `resumeReply` of a client with two. The one that serves chat now when absent. */
  readonly side?: SideName;
  /** Is told which Parley the turn is read at, whenever that changes. */
  readonly onSide?: (side: SideName) => void;
}

/** True for the event that ends a turn. */
export function isLast(event: TurnEvent): boolean {
  const kind = event.event.case;
  return kind === "completed" || kind === "failed" || kind === "stopped";
}

/** Follows a turn from the cursor on. */
export async function* followTurn(open: OpenTurn, from: Cursor, options: FollowOptions = {}): AsyncGenerator<TurnEvent, void, undefined> {
  const { signal, onConnection, maxFailures = 16, idleMs = 45_000 } = options;
  let { turnId, afterSequence: last } = from;
  let failures = 0;
  let queued = false;
  const connected = () => {
    if (failures > 0) onConnection?.({ state: "connected" });
    failures = 0;
  };

  for (;;) {
    const connection = new Connection(signal, idleMs);
    let error: ParleyError;
    try {
      for await (const event of open({ turnId, afterSequence: last }, connection.signal)) {
        connection.heard();
        if (event.sequence <= last) continue;
        // 0 is what a sender leaves there that never merges.
        const first = event.firstSequence === 0 ? event.sequence : event.firstSequence;
        if (first !== last + 1) throw cut(`Event ${first} came after event ${last}.`);
        turnId = event.turnId;
        last = event.sequence;
        queued = waits(event, queued);
        connected();
        yield event;
        if (isLast(event)) return;
      }
      error = cut("The stream ended before the turn did.");
    } catch (thrown) {
      signal?.throwIfAborted();
      error = connection.signal.aborted ? cut(String(connection.signal.reason)) : toParleyError(thrown);
      if (!isWorthRepeating(error)) throw error;
      // A turn that waits for a model or for its user has nothing to say for hours. The connection is replaced, in case it is dead; nobody needs to know.
      if (queued && (connection.silent || error.reason === ErrorReason.STREAM_IDLE)) {
        connected();
        continue;
      }
    } finally {
      connection.close();
    }
    failures += 1;
    if (failures > maxFailures) throw error;
    const delayMs = Math.max(backoffMs(failures), error.retryDelayMs ?? 0);
    onConnection?.({ state: "reconnecting", failures, delayMs, error });
    await pause(delayMs, signal);
  }
}

/** Whether a turn waits for a model, or for its user, after an event. What does not end the waiting: its place, notices, one decision of several. */
function waits(event: TurnEvent, before: boolean): boolean {
  const kind = event.event.case;
  return kind === "queued" || kind === "approvalRequested" || (before && (kind === "notice" || kind === "approvalDecided" || kind === undefined));
}
