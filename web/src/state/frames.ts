/** Draws at most once per frame, however fast events arrive. */

/**
 * Runs the latest work before the next frame, or soon when the page is hidden (hidden pages have no frames).
 *
 * The function it returns takes work; its `flush` runs what waits at once.
 */
export function oncePerFrame(): ((work: () => void) => void) & { flush(): void } {
  let waiting: (() => void) | undefined;
  const run = () => {
    const work = waiting;
    waiting = undefined;
    work?.();
  };
  const schedule = (work: () => void) => {
    const idle = waiting === undefined;
    waiting = work;
    if (!idle) return;
    if (typeof requestAnimationFrame === "function" && document.visibilityState === "visible") requestAnimationFrame(run);
    else setTimeout(run, 50);
  };
  return Object.assign(schedule, { flush: run });
}
