/** How long to wait before trying again. */

const FIRST_MS = 300;
const LONGEST_MS = 10_000;

/**
 * Exponential backoff with full jitter: drawn between 0 and a bound of 0.3 s after the first failure, which doubles up to 10 s.
 *
 * @param failures how many attempts have failed in a row, from 1.
 */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  return random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
}

/** Waits. Ends early, without an error, when the browser says that the network is back. Throws the signal's reason when it is aborted. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      if (hasNetworkEvents) removeEventListener("online", onOnline);
    };
    const onOnline = () => {
      end();
      resolve();
    };
    const onAbort = () => {
      end();
      reject(signal!.reason as Error);
    };
    const timer = setTimeout(onOnline, milliseconds);
    signal?.addEventListener("abort", onAbort);
    if (hasNetworkEvents) addEventListener("online", onOnline);
  });
}

/** True where the runtime tells of the network coming and going, as browsers do. */
export const hasNetworkEvents = typeof window !== "undefined" && typeof addEventListener === "function";
