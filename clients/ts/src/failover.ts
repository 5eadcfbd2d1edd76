/**
 * Two Parleys as one: each call goes to the side that serves its feature now, and on to the other where no harm can come of it.
 *
 * A call that may have arrived is made again only where the contract, or the user by `sharedData`, allows it. A stream that has begun is never
 * moved: `turn.ts` resumes it where it is.
 */
import { createClient, type StreamResponse, type Transport, type UnaryResponse } from "@connectrpc/connect";
import type { DescMethod, DescMethodStreaming, DescMethodUnary, DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { ServingState, SystemService } from "@parley/protos/parley/system/v1/system_service_pb";
import type { SideHealth } from "./circuit.js";
import { toParleyError, type ParleyError } from "./errors.js";
import { featureOf, type FeatureName } from "./features.js";
import type { TokenKeeper } from "./tokens.js";

/** One of the two Parleys that a client may have. */
export type SideName = "primary" | "secondary";

/** Which side serves a feature: `secondary` prefers it and falls over to the primary, `secondary_only` never leaves it. */
export type Placement = SideName | "primary_only" | "secondary_only";

/** When a client leaves a side, and when it goes back. */
export interface FailoverOptions {
  /**
   * Whether both sides are doors of one Parley, with the same users, sessions and turns. Then a message that may have arrived is sent again at the
   * other side, under its clientMessageId, and a turn is resumed there. When absent each side has data of its own: what may have arrived stays
   * where it is, a turn is read to its end at its own side, and only what begins goes to the other.
   */
  readonly sharedData?: boolean;
  /** After how many failures of a feature in a row a side is left. 3 when absent; once is enough where it is known that nobody listens. */
  readonly failures?: number;
  /** After how many good probes in a row it is taken back. 2 when absent. */
  readonly successes?: number;
  /** How long it is left for at the least, milliseconds. 10,000 when absent. Doubles, up to five minutes, while it fails soon after. */
  readonly stayMs?: number;
  /** The longest first pause between probes, milliseconds. 1,000 when absent. Pauses double up to 30 seconds, and are drawn between 0 and that. */
  readonly probeMs?: number;
  /** Which side serves which feature; the primary, while it can, where neither this nor a flag `failover.<feature>` says so. */
  readonly features?: Readonly<Partial<Record<FeatureName, Placement>>>;
  /** Whether flags `failover.<feature>` are followed. True when absent. */
  readonly flags?: boolean;
}

/** A feature is now served by another side. */
export interface FailoverEvent {
  readonly feature: string;
  readonly side: SideName;
  readonly left: SideName;
  /** `failed`: the side that was left does not answer. `recovered`: the preferred one is back. `placed`: a flag says so. */
  readonly reason: "failed" | "recovered" | "placed";
}

/** One Parley: how it is called, and how it does. */
export interface Side {
  readonly name: SideName;
  readonly transport: Transport;
  /** The bare transport, for probes. */
  readonly probe: Transport;
  readonly tokens: TokenKeeper;
  readonly health: SideHealth;
  /** Says of a read that was lost whether repeating it is better done elsewhere. Read by the transport. */
  readonly leaving: { leaves: (feature: string) => boolean };
}

const PREFERENCES: Readonly<Record<Placement, readonly SideName[]>> = {
  primary: ["primary", "secondary"],
  secondary: ["secondary", "primary"],
  primary_only: ["primary"],
  secondary_only: ["secondary"],
};
const LONGEST_PROBE_PAUSE_MS = 30_000;
const PROBE_TIMEOUT_MS = 5_000;

/** Decides which side serves what, and tells of it. */
export class Failover {
  readonly sides: Readonly<Partial<Record<SideName, Side>>>;
  readonly sharedData: boolean;
  readonly #options: FailoverOptions;
  readonly #serving = new Map<string, SideName>();
  /** What was moved because a side failed, and is not back yet. */
  readonly #fled = new Set<string>();
  readonly #probing = new Set<SideName>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #listeners = new Set<(event: FailoverEvent) => void>();
  #closed = false;
  /** Tells the value of a flag, empty when it is off or not known. */
  flagValue: (name: string) => string = () => "";

  /** `view`: of one side that another Failover looks after. */
  constructor(sides: readonly Side[], options: FailoverOptions, view = false) {
    this.sides = Object.fromEntries(sides.map((side) => [side.name, side]));
    this.sharedData = sides.length === 1 || options.sharedData === true;
    this.#options = options;
    for (const side of view ? [] : sides) {
      side.health.onChange = () => this.settle();
      side.health.onSuspicion = (feature) => void this.#suspect(side, feature);
      if (sides.length > 1) side.leaving.leaves = (feature) => this.sideOf(feature) !== side.name;
    }
  }

  /** Calls the listener when a feature is served by another side from now on. Returns what ends it. */
  watch(listener: (event: FailoverEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Which side serves a feature now. The preferred one when none of them answers: a call is the best probe. */
  sideOf(feature: string): SideName {
    const { primary, secondary } = this.sides;
    if (!primary || !secondary) return primary ? "primary" : "secondary";
    const names = PREFERENCES[this.#placement(feature)];
    return names.find((name) => !this.sides[name]!.health.isOpen(feature)) ?? names[0]!;
  }

  /** The side that serves a feature now, for a call. Tells when it is another than before. */
  choose(feature: string): Side {
    const now = this.sideOf(feature);
    const before = this.#serving.get(feature) ?? now;
    this.#serving.set(feature, now);
    if (before !== now) {
      const failed = this.sides[before]!.health.isOpen(feature);
      const reason = failed ? "failed" : this.#fled.has(feature) ? "recovered" : "placed";
      if (failed) this.#fled.add(feature);
      else this.#fled.delete(feature);
      for (const listener of [...this.#listeners]) listener({ feature, side: now, left: before, reason });
    }
    return this.sides[now]!;
  }

  /** Looks again at who serves what: a circuit or a flag has changed. */
  settle(): void {
    for (const feature of [...this.#serving.keys()]) this.choose(feature);
    if (!this.sides.secondary) return;
    for (const side of Object.values(this.sides)) if (side.health.anyOpen && !this.#probing.has(side.name)) void this.#probe(side);
  }

  /**
   * The other side, when the call is now served there and may be made again; throws what was thrown otherwise.
   *
   * @param named whether the request has a name of the caller's own, under which it is done once however often it is sent.
   */
  next(method: DescMethod, thrown: unknown, tried: Set<SideName>, named = false): Side {
    const error = toParleyError(thrown);
    const other = this.choose(featureOf(method.parent.typeName));
    if (tried.has(other.name) || !this.#movable(method, error, named)) throw thrown;
    tried.add(other.name);
    return other;
  }

  /** Ends the probes. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #movable(method: DescMethod, error: ParleyError, named: boolean): boolean {
    if (error.unsent) return true;
    if (!error.connectionLost) return false;
    if (method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) return true;
    return this.sharedData && (named || method.idempotency === MethodOptions_IdempotencyLevel.IDEMPOTENT);
  }

  #placement(feature: string): Placement {
    const configured = this.#options.features?.[feature as FeatureName];
    if (configured) return configured;
    // The flags themselves are not moved by a flag: who reads it then?
    const flagged = this.#options.flags === false || feature === "flags" ? "" : this.flagValue(`failover.${feature}`);
    return Object.hasOwn(PREFERENCES, flagged) ? (flagged as Placement) : "primary";
  }

  async #probe(side: Side): Promise<void> {
    this.#probing.add(side.name);
    const first = this.#options.probeMs ?? 1_000;
    for (let failures = 1; side.health.anyOpen && !this.#closed; ) {
      await this.#wait(Math.random() * Math.min(LONGEST_PROBE_PAUSE_MS, first * 2 ** Math.min(failures - 1, 20)));
      if (this.#closed) break;
      const good = await isHealthy(side);
      failures = good ? 1 : failures + 1;
      side.health.probed(good);
    }
    this.#probing.delete(side.name);
  }

  /** A call timed out: the caller's deadline may have been short. Health tells. */
  async #suspect(side: Side, feature: string): Promise<void> {
    if (this.sides.secondary && !this.#closed && !(await isHealthy(side))) side.health.confirmed(feature);
  }

  #wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, milliseconds);
      this.#timers.add(timer);
    });
  }
}

/** A transport over both sides. */
export function failoverTransport(failover: Failover): Transport {
  return {
    async unary<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: HeadersInit | undefined,
      input: MessageInitShape<I>,
      contextValues?: Parameters<Transport["unary"]>[5],
    ): Promise<UnaryResponse<I, O>> {
      const ends = timeoutMs === undefined || timeoutMs <= 0 ? undefined : Date.now() + timeoutMs;
      let side = failover.choose(featureOf(method.parent.typeName));
      const tried = new Set([side.name]);
      for (;;) {
        try {
          const left = ends === undefined ? timeoutMs : Math.max(ends - Date.now(), 1);
          return await side.transport.unary(method, signal, left, header, input, contextValues);
        } catch (thrown) {
          if (signal?.aborted || (ends !== undefined && Date.now() >= ends)) throw thrown;
          side = failover.next(method, thrown, tried, isNamed(input));
        }
      }
    },
    async stream<I extends DescMessage, O extends DescMessage>(
      method: DescMethodStreaming<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: HeadersInit | undefined,
      input: AsyncIterable<MessageInitShape<I>>,
      contextValues?: Parameters<Transport["stream"]>[5],
    ): Promise<StreamResponse<I, O>> {
      let side = failover.choose(featureOf(method.parent.typeName));
      // A stream of requests can be read once; one message can be kept.
      if (method.methodKind !== "server_streaming") return side.transport.stream(method, signal, timeoutMs, header, input, contextValues);
      const messages: MessageInitShape<I>[] = [];
      for await (const message of input) messages.push(message);
      const tried = new Set([side.name]);
      for (;;) {
        try {
          return await side.transport.stream(method, signal, timeoutMs, header, replay(messages), contextValues);
        } catch (thrown) {
          if (signal?.aborted) throw thrown;
          side = failover.next(method, thrown, tried);
        }
      }
    },
  };
}

/** Whether a side says that it can answer. Its circuits hear nothing of the question. */
async function isHealthy(side: Side): Promise<boolean> {
  try {
    const { state } = await createClient(SystemService, side.probe).getHealth({}, { timeoutMs: PROBE_TIMEOUT_MS });
    return state === ServingState.SERVING;
  } catch {
    return false;
  }
}

function isNamed(input: object): boolean {
  return "clientMessageId" in input && typeof input.clientMessageId === "string" && input.clientMessageId !== "";
}

async function* replay<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
