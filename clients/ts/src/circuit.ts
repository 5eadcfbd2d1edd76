/**
 * Whether a side is worth calling, feature by feature: circuits that open on failures and close on good probes.
 *
 * Judged by what became of calls. An application error is an answer: a side that refuses a request is there. Nothing here makes a call.
 */
import { Code } from "@connectrpc/connect";
import { ErrorReason, type ParleyError } from "./errors.js";

/** When a circuit opens and closes. */
export interface CircuitPolicy {
  /** After how many failures in a row it opens. */
  readonly failures: number;
  /** After how many good probes in a row it closes. */
  readonly successes: number;
  /** How long it stays open at the least, milliseconds. Doubles, up to five minutes, each time it opens within a minute of closing. */
  readonly stayMs: number;
}

const SETTLED_MS = 60_000;
const LONGEST_STAY_MS = 300_000;

/** One circuit. Closed: calls go there. Open: they go elsewhere, if there is an elsewhere. */
export class Circuit {
  readonly #policy: CircuitPolicy;
  readonly #now: () => number;
  #failures = 0;
  #good = 0;
  #openedAt: number | undefined;
  #closedAt: number | undefined;
  #stayMs: number;

  constructor(policy: CircuitPolicy, now: () => number) {
    this.#policy = policy;
    this.#now = now;
    this.#stayMs = policy.stayMs;
  }

  get isOpen(): boolean {
    return this.#openedAt !== undefined;
  }

  /** A call was answered, or a probe was good. */
  answered(): void {
    if (this.#openedAt === undefined) {
      this.#failures = 0;
      return;
    }
    this.#good += 1;
    const now = this.#now();
    if (this.#good < this.#policy.successes || now - this.#openedAt < this.#stayMs) return;
    this.#openedAt = undefined;
    this.#closedAt = now;
    this.#failures = 0;
  }

  /** A call failed for a reason that is the side's. `atOnce`: one such failure is enough. */
  failed(atOnce: boolean): void {
    if (this.isOpen) {
      this.#good = 0;
      return;
    }
    this.#failures += 1;
    if (!atOnce && this.#failures < this.#policy.failures) return;
    const now = this.#now();
    const relapsed = this.#closedAt !== undefined && now - this.#closedAt < SETTLED_MS;
    this.#stayMs = relapsed ? Math.min(this.#stayMs * 2, Math.max(LONGEST_STAY_MS, this.#policy.stayMs)) : this.#policy.stayMs;
    this.#openedAt = now;
    this.#failures = 0;
    this.#good = 0;
  }

  /** A probe came back. Means nothing to a closed circuit: only calls open one. */
  probed(good: boolean): void {
    if (!this.isOpen) return;
    if (good) this.answered();
    else this.#good = 0;
  }
}

/** The circuits of one side. */
export class SideHealth {
  readonly #policy: CircuitPolicy;
  readonly #now: () => number;
  readonly #circuits = new Map<string, Circuit>();
  /** The side as a whole: nobody listens there. */
  readonly #refused: Circuit;
  /** Is called after a circuit opened or closed. */
  onChange: () => void = () => undefined;
  /** Is called when a call timed out, of which nobody can say whether that is the side's fault. */
  onSuspicion: (feature: string) => void = () => undefined;

  constructor(policy: CircuitPolicy, now: () => number = Date.now) {
    this.#policy = policy;
    this.#now = now;
    this.#refused = new Circuit(policy, now);
  }

  isOpen(feature: string): boolean {
    return this.#refused.isOpen || this.#circuits.get(feature)?.isOpen === true;
  }

  /** Whether there is something to probe for. */
  get anyOpen(): boolean {
    return this.#refused.isOpen || [...this.#circuits.values()].some((circuit) => circuit.isOpen);
  }

  answered(feature: string): void {
    this.#change(() => {
      this.#circuit(feature).answered();
      this.#refused.answered();
    });
  }

  /** A call ended with an error. What the caller ended is not told here. */
  failed(feature: string, error: ParleyError): void {
    // A browser without a network reaches neither side.
    if (typeof navigator !== "undefined" && navigator.onLine === false) return;
    if (error.code === Code.DeadlineExceeded && error.reason === ErrorReason.UNSPECIFIED) return this.onSuspicion(feature);
    if (!error.connectionLost && error.reason !== ErrorReason.SERVICE_UNAVAILABLE) return this.answered(feature);
    this.#change(() => {
      this.#circuit(feature).failed(error.refused);
      if (error.refused) this.#refused.failed(true);
    });
  }

  /** A call that timed out was the side's fault after all. */
  confirmed(feature: string): void {
    this.#change(() => this.#circuit(feature).failed(false));
  }

  probed(good: boolean): void {
    this.#change(() => {
      for (const circuit of [this.#refused, ...this.#circuits.values()]) circuit.probed(good);
    });
  }

  #circuit(feature: string): Circuit {
    let circuit = this.#circuits.get(feature);
    if (!circuit) this.#circuits.set(feature, (circuit = new Circuit(this.#policy, this.#now)));
    return circuit;
  }

  #change(change: () => void): void {
    const before = this.#open();
    change();
    if (this.#open() !== before) this.onChange();
  }

  #open(): string {
    return [this.#refused.isOpen ? "*" : "", ...[...this.#circuits].filter(([, circuit]) => circuit.isOpen).map(([feature]) => feature)].join();
  }
}
