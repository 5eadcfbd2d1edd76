/**
 * Follows a stream that tells the whole of something whenever it changes, while somebody can see the page. A stream that is cut, refused or falls
 * silent is asked for again, ever less often. Not for events that build on each other, which live.ts has.
 */
import { toParleyError, type ParleyError } from "@parley/client";

/** How long a stream may be silent before it is replaced, milliseconds: the server says something every 25 seconds. */
const SILENT_MS = 45_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

interface Followed<T> {
  readonly open: (signal: AbortSignal) => AsyncIterable<T>;
  readonly onMessage: (message: T) => void;
  /** A connection was lost, or refused. It is tried again all the same. */
  readonly onError: (error: ParleyError) => void;
}

/** Begins to follow. Returns what ends it. */
export function follow<T>(followed: Followed<T>): () => void {
  let connection: AbortController | undefined;
  const changed = () => {
    if (document.visibilityState !== "visible") {
      connection?.abort();
      connection = undefined;
    } else if (!connection) {
      connection = new AbortController();
      void keepOpen(followed, connection.signal);
    }
  };
  changed();
  document.addEventListener("visibilitychange", changed);
  return () => {
    document.removeEventListener("visibilitychange", changed);
    connection?.abort();
  };
}

async function keepOpen<T>({ open, onMessage, onError }: Followed<T>, ended: AbortSignal): Promise<void> {
  for (let failures = 0; !ended.aborted; failures += 1) {
    const connection = new AbortController();
    const close = () => connection.abort();
    ended.addEventListener("abort", close);
    let silence = setTimeout(close, SILENT_MS);
    try {
      for await (const message of open(connection.signal)) {
        if (ended.aborted) return;
        clearTimeout(silence);
        silence = setTimeout(close, SILENT_MS);
        failures = 0;
        onMessage(message);
      }
    } catch (thrown) {
      // A silent connection was cut from here, and says nothing about what it followed.
      if (!connection.signal.aborted) onError(toParleyError(thrown));
    } finally {
      clearTimeout(silence);
      ended.removeEventListener("abort", close);
      close();
    }
    if (ended.aborted) return;
    await pause(wait(failures), ended);
  }
}

/** A second after the first failure, twice as long after each further one, and not at the same moment as everybody else. */
function wait(failures: number): number {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
  return longest / 2 + (Math.random() * longest) / 2;
}

function pause(milliseconds: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      ended.removeEventListener("abort", end);
      removeEventListener("online", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    ended.addEventListener("abort", end);
    addEventListener("online", end);
  });
}
