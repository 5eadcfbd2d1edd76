/**
 * Whether a feature can be used now, as far as is known: from the calls that were made, and from Parley's own status in between. Asking takes no
 * time. It decides nothing: a call that is made all the same may succeed.
 */
import { createClient } from "@connectrpc/connect";
import { ServingState, SystemService } from "@parley/protos/parley/system/v1/system_service_pb";
import { pause } from "./backoff.js";
import { toParleyError } from "./errors.js";
import type { Failover, Side, SideName } from "./failover.js";
import { partsOf } from "./features.js";

const PAUSE_MS = 15_000;
const TIMEOUT_MS = 10_000;

/** Asks both sides for their status from the first question on. */
export class Availability {
  readonly #failover: Failover;
  /** The services of a side that take no calls. */
  readonly #away = new Map<SideName, ReadonlySet<string>>();
  readonly #closing = new AbortController();
  #started = false;

  constructor(failover: Failover) {
    this.#failover = failover;
  }

  /** Whether the side that serves a feature answers, and has what the feature needs. True as long as nothing speaks against it. */
  isAvailable(feature: string): boolean {
    if (!this.#started && !this.#closing.signal.aborted) {
      this.#started = true;
      void this.#ask();
    }
    const name = this.#failover.sideOf(feature);
    if (this.#failover.sides[name]!.health.isOpen(feature)) return false;
    const away = this.#away.get(name);
    return away === undefined || !partsOf(feature).some((part) => away.has(part));
  }

  close(): void {
    this.#closing.abort();
  }

  async #ask(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      for (const side of Object.values(this.#failover.sides)) {
        const away = await awayAt(side, signal);
        if (away) this.#away.set(side.name, away);
      }
      await pause(PAUSE_MS * (0.5 + Math.random() / 2), signal).catch(() => undefined);
    }
  }
}

/** The services of a side that take no calls; undefined when nobody answers, of which the side's circuits know. */
async function awayAt(side: Side, signal: AbortSignal): Promise<ReadonlySet<string> | undefined> {
  const system = createClient(SystemService, side.transport);
  const options = { signal, timeoutMs: TIMEOUT_MS };
  if (side.tokens.signIn) {
    try {
      const { services } = await system.getStatus({}, options);
      return new Set(services.filter(({ state }) => state !== ServingState.SERVING).map(({ service }) => service));
    } catch (thrown) {
      if (toParleyError(thrown).connectionLost) return undefined;
      // A token that may not read the status: everybody may ask for the health of the whole.
    }
  }
  try {
    const { state } = await system.getHealth({}, options);
    return new Set(state === ServingState.SERVING ? [] : ["chat", "inference"]);
  } catch {
    return undefined;
  }
}
