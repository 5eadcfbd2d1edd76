/**
 * What happens to what the user owns, as it happens: one stream of events for the page, open while somebody can see it.
 *
 * Knows nothing of what is done with an event. Whoever listens is told of each event once and in order, and when what it holds may have
 * missed some and has to be read anew.
 */
import { watchEvents, type ParleyClient } from "@parley/client";
import type { Event } from "@parley/protos/parley/events/v1/event_pb";
import { createStore } from "zustand/vanilla";

/** Who wants to know. */
export interface LiveListener {
  /** Something happened. */
  onEvent?(event: Event): void;
  /** Everything from after this place on will be told. What happened before it has to be read. */
  onFresh?(sequence: number): void;
}

export interface LiveState {
  /** Whether what is on the screen follows what happens. False before the stream's first word, and while its connection is lost. */
  readonly following: boolean;
  /** Whether its connection is lost, and is tried again. */
  readonly lost: boolean;
}

/** How long a page that nobody sees keeps its connection, milliseconds: a browser has six to a host, for all its tabs together. */
const HIDDEN_KEPT_MS = 30_000;
/** After how long without a word reading the lists anew is cheaper than being told all that happened. */
const STALE_MS = 10 * 60_000;

export class Live {
  /** Whether to go on while nobody sees the page. */
  keepHidden: () => boolean = () => false;
  readonly store = createStore<LiveState>(() => ({ following: false, lost: false }));
  readonly #parley: ParleyClient;
  readonly #listeners = new Set<LiveListener>();
  #controller: AbortController | undefined;
  #hiding: ReturnType<typeof setTimeout> | undefined;
  /** The place to go on after. Undefined before the first word. */
  #sequence: number | undefined;
  #heardAt = 0;

  constructor(parley: ParleyClient) {
    this.#parley = parley;
  }

  /** Tells somebody. Returns what ends it. */
  listen(listener: LiveListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Follows while the page is visible. Returns what ends it. */
  watch(): () => void {
    const changed = () => (document.visibilityState === "visible" ? this.open() : this.#closeSoon());
    const close = () => this.close();
    changed();
    document.addEventListener("visibilitychange", changed);
    // A page that the browser keeps for the way back holds no connections.
    addEventListener("pagehide", close);
    addEventListener("pageshow", changed);
    return () => {
      document.removeEventListener("visibilitychange", changed);
      removeEventListener("pagehide", close);
      removeEventListener("pageshow", changed);
      this.close();
    };
  }

  /** Opens the stream, unless it is open. */
  open(): void {
    clearTimeout(this.#hiding);
    if (this.#controller) return;
    const controller = new AbortController();
    this.#controller = controller;
    void this.#follow(controller);
  }

  /** Ends the stream. What happens meanwhile is told when it is opened again. */
  close(): void {
    clearTimeout(this.#hiding);
    this.#controller?.abort(new Error("Closed."));
    this.#controller = undefined;
    this.store.setState({ following: false, lost: false });
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    const wasOpen = this.#controller !== undefined;
    this.close();
    this.#sequence = undefined;
    if (wasOpen && this.#parley.user) this.open();
  }

  async #follow(controller: AbortController): Promise<void> {
    const { signal } = controller;
    const current = () => this.#controller === controller;
    const known = this.#sequence !== undefined && Date.now() - this.#heardAt < STALE_MS ? this.#sequence : undefined;
    let begun = known !== undefined;
    try {
      const stream = watchEvents(this.#parley, known ?? -1, {
        signal,
        onConnection: ({ state }) => current() && this.store.setState({ following: state === "connected", lost: state === "reconnecting" }),
      });
      for await (const { sequence, event } of stream) {
        if (!current()) return;
        this.#heardAt = Date.now();
        this.#sequence = sequence;
        this.store.setState({ following: true, lost: false });
        if (!begun) this.#tell((listener) => listener.onFresh?.(sequence));
        begun = true;
        if (event) this.#tell((listener) => listener.onEvent?.(event));
      }
    } catch {
      // Refused: the page is as it was without a stream, and reads its lists when its reader comes back to it.
    } finally {
      if (current()) {
        this.#controller = undefined;
        this.store.setState({ following: false, lost: false });
      }
    }
  }

  #closeSoon(): void {
    clearTimeout(this.#hiding);
    this.#hiding = setTimeout(() => void this.#closeUnlessWanted(), HIDDEN_KEPT_MS);
  }

  /** A user who is notified of what happens while the page is out of sight needs one connection for that: one of their tabs keeps it. */
  async #closeUnlessWanted(): Promise<void> {
    if (!this.keepHidden() || !("locks" in navigator)) return this.close();
    await navigator.locks.request("parley.hidden-events", { ifAvailable: true }, async (lock) => {
      if (document.visibilityState === "visible") return;
      if (!lock) return this.close();
      await new Promise<void>((resolve) => {
        document.addEventListener("visibilitychange", () => resolve(), { once: true });
        addEventListener("pagehide", () => resolve(), { once: true });
      });
    });
  }

  #tell(tell: (listener: LiveListener) => void): void {
    for (const listener of [...this.#listeners]) {
      try {
        tell(listener);
      } catch (thrown) {
        // One listener's mistake is not the others'.
        reportError(thrown);
      }
    }
  }
}
