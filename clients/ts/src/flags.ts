/**
 * The user's flags, kept up to date in the background so that asking for one takes no time and never fails. A value once known stays known
 * through any outage.
 */
import { FlagService } from "@parley/protos/parley/flags/v1/flag_service_pb";
import { createClient } from "@connectrpc/connect";
import { backoffMs, pause } from "./backoff.js";
import { Connection } from "./connection.js";
import type { Failover, SideName } from "./failover.js";

/** The server says something every 25 seconds. */
const IDLE_MS = 45_000;

interface KnownFlag {
  readonly enabled: boolean;
  readonly value: string;
}

/** Watches flags from the first question on. */
export class LiveFlags {
  readonly #failover: Failover;
  readonly #known = new Map<SideName, ReadonlyMap<string, KnownFlag>>();
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  #side: SideName = "primary";
  #connection: Connection | undefined;
  #pausing = new AbortController();
  #started = false;

  constructor(failover: Failover) {
    this.#failover = failover;
    // Flags are those of the side that serves them.
    failover.watch(({ feature }) => feature === "flags" && this.again());
  }

  /** Whether a flag is on, as far as is known; the fallback when it is not. */
  enabled(name: string, fallback: boolean): boolean {
    this.start();
    return this.#flag(name, this.#side)?.enabled ?? fallback;
  }

  /** What a flag says beside on; the fallback when it is off, not known, or says nothing. */
  value(name: string, fallback = ""): string {
    this.start();
    return this.#flag(name, this.#side)?.value || fallback;
  }

  /** The value of a flag about failover: the primary's word, also while the secondary is the one that is watched. */
  placement(name: string): string {
    this.start();
    return this.#flag(name, "primary")?.value ?? "";
  }

  /** Calls the listener whenever flags were heard. Returns what ends it. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.start();
    return () => this.#listeners.delete(listener);
  }

  /** Begins to watch, if nobody did. */
  start(): void {
    if (this.#started || this.#closing.signal.aborted) return;
    this.#started = true;
    void this.#watch();
  }

  /** Watches anew: at another side, or as somebody else. What is known stays known. */
  again(): void {
    this.#connection?.close();
    this.#pausing.abort();
  }

  /** Forgets what is known: it was about somebody else. */
  forget(): void {
    this.#known.clear();
    this.again();
    this.#tell();
  }

  close(): void {
    this.#closing.abort();
    this.again();
  }

  #flag(name: string, first: SideName): KnownFlag | undefined {
    // What one side does not have, the other may: sides with data of their own have flags of their own.
    for (const side of [first, "primary", "secondary"] as const) {
      const flag = this.#known.get(side)?.get(name);
      if (flag) return flag;
    }
    return undefined;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 1; !signal.aborted; failures += 1) {
      const side = this.#failover.choose("flags");
      const connection = (this.#connection = new Connection(signal, IDLE_MS));
      let moved = false;
      try {
        const messages = createClient(FlagService, side.transport).watchFlags({}, { signal: connection.signal, timeoutMs: 0 });
        for await (const { flags } of messages) {
          connection.heard();
          failures = 0;
          this.#side = side.name;
          this.#known.set(side.name, new Map(flags.map(({ name, enabled, value }) => [name, { enabled, value }])));
          this.#tell();
        }
      } catch {
        // Whatever it was, an older Parley without flags or nobody being signed in included, it may end.
        moved = connection.signal.aborted && !connection.silent;
      } finally {
        connection.close();
      }
      this.#pausing = new AbortController();
      if (moved || signal.aborted) failures = 0;
      else await pause(backoffMs(Math.max(failures, 1)), this.#pausing.signal).catch(() => undefined);
    }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
