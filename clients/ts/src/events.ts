/**
 * Follows what happens to what a user owns, over as many connections as it takes, for as long as the caller reads.
 *
 * The caller sees each event once and in order. A connection that is cut or falls silent is replaced, and the next one goes on after the last
 * place that arrived. Not the events of one turn, which are turn.ts's.
 */
import { Code } from "@connectrpc/connect";
import type { Event, ResourceType } from "@parley/protos/parley/events/v1/event_pb";
import { EventService } from "@parley/protos/parley/events/v1/event_service_pb";
import { backoffMs, pause } from "./backoff.js";
import type { ParleyClient } from "./client.js";
import { Connection, cut } from "./connection.js";
import { toParleyError, type ParleyError } from "./errors.js";
import type { TurnConnection } from "./turn.js";

/** What a watcher is told. */
export interface Watched {
  /** The place to go on after. */
  readonly sequence: number;
  /** What happened. Undefined when there is only the place to tell: that the stream lives, or that events of other kinds were passed over. */
  readonly event: Event | undefined;
}

/** How to watch events. */
export interface WatchOptions {
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Only events of these kinds of things. All when absent. */
  readonly resourceTypes?: readonly ResourceType[];
  /** Is told when the connection is lost and when it is there again. */
  readonly onConnection?: (connection: TurnConnection) => void;
  /** How long a connection may be silent before it is replaced, milliseconds. 45,000 when absent: the server says something every 25. */
  readonly idleMs?: number;
}

/**
 * Watches a user's events after a place, -1 for those that happen from now on. The first thing told is the place itself.
 *
 * @throws ParleyError when the server refuses. A lost connection is no refusal, however long it lasts.
 */
export async function* watchEvents(parley: ParleyClient, afterSequence: number, options: WatchOptions = {}): AsyncGenerator<Watched, void, undefined> {
  const { signal, onConnection, idleMs = 45_000, resourceTypes = [] } = options;
  let side = parley.sideOf("events");
  let last = afterSequence;
  let failures = 0;

  for (;;) {
    // A place means something where it was told. Without one, what happens from now on is watched wherever it can be.
    if (last === -1 || parley.sharedData) side = parley.sideOf("events");
    const service = parley.at(side).service(EventService);
    const connection = new Connection(signal, idleMs);
    let error: ParleyError;
    let heard = false;
    try {
      const request = { afterSequence: BigInt(last), resourceTypes: [...resourceTypes] };
      for await (const { event, sequence: place } of service.watchEvents(request, { signal: connection.signal })) {
        connection.heard();
        heard = true;
        if (failures > 0) onConnection?.({ state: "connected" });
        failures = 0;
        const sequence = Number(place);
        if (event && sequence <= last) continue;
        last = Math.max(last, sequence);
        yield { sequence: last, event };
      }
      error = cut("The stream of events ended.");
    } catch (thrown) {
      signal?.throwIfAborted();
      error = connection.signal.aborted ? cut(String(connection.signal.reason)) : toParleyError(thrown);
      if (isRefusal(error, heard)) throw error;
    } finally {
      connection.close();
    }
    failures += 1;
    const delayMs = Math.max(backoffMs(failures), error.retryDelayMs ?? 0);
    onConnection?.({ state: "reconnecting", failures, delayMs, error });
    await pause(delayMs, signal);
  }
}

/** Whether asking again is of no use. A token that ended in the middle is renewed by asking again. */
function isRefusal({ code, connectionLost }: ParleyError, heard: boolean): boolean {
  if (connectionLost) return false;
  if (code === Code.Unauthenticated) return !heard;
  return code === Code.PermissionDenied || code === Code.InvalidArgument || code === Code.Unimplemented;
}
