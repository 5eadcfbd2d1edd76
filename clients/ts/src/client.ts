/**
 * Parley for a program: the services of the contract with errors as ParleyError, signing in and out, and turns that survive a lost connection.
 */
import { createClient, type Client, type Transport } from "@connectrpc/connect";
import type { DescService, MessageInitShape } from "@bufbuild/protobuf";
import {
  ChatService,
  type StopReplyResponse,
  type StreamReplyRequestSchema,
} from "@parley/protos/parley/chat/v1/chat_service_pb";
import type { TurnEvent } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { IdentityService } from "@parley/protos/parley/identity/v1/identity_service_pb";
import { DocumentService } from "@parley/protos/parley/retrieval/v1/document_service_pb";
import { SearchService } from "@parley/protos/parley/retrieval/v1/search_service_pb";
import { SystemService } from "@parley/protos/parley/system/v1/system_service_pb";
import { Availability } from "./availability.js";
import { SideHealth } from "./circuit.js";
import { toParleyError } from "./errors.js";
import { Failover, failoverTransport, type FailoverEvent, type FailoverOptions, type Side, type SideName } from "./failover.js";
import type { FeatureName } from "./features.js";
import { LiveFlags } from "./flags.js";
import { newClientMessageId } from "./ids.js";
import { memoryTokenStore, type SignedInUser, type TokenKeeper, type TokenStore } from "./tokens.js";
import { grpcWebTransport, side, tokenKeeper, type TransportFactory } from "./transport.js";
import { followTurn, type Cursor, type FollowOptions } from "./turn.js";

/** How long an rpc with one answer may take. Streams have no such limit. */
const UNARY_TIMEOUT_MS = 30_000;

/** What to connect to, and as whom. */
export interface ParleyOptions {
  /** Where Parley is, without a slash at the end: `http://127.0.0.1:8080`. */
  readonly baseUrl: string;
  /** Where the sign-in is kept. */
  readonly tokens: TokenStore;
  /** What carries the calls instead of gRPC-web to `baseUrl`: for tests. */
  readonly transport?: TransportFactory;
  /** How long an rpc with one answer may take, where the call does not say, milliseconds. 30,000 when absent. Streams have no such limit. */
  readonly timeoutMs?: number;
  /** Another Parley, to go to while this one does not answer. */
  readonly secondary?: SecondaryOptions;
  /** When to go there, when to come back, and which feature belongs where. */
  readonly failover?: FailoverOptions;
}

/** The other Parley. */
export interface SecondaryOptions {
  /** Where it is, without a slash at the end. */
  readonly baseUrl: string;
  /**
   * Where its sign-in is kept. With `failover.sharedData` it is the primary's when absent; otherwise in memory, and `parley.at("secondary")` is what
   * signs in there.
   */
  readonly tokens?: TokenStore;
  /** What carries the calls instead of gRPC-web to `baseUrl`: for tests. */
  readonly transport?: TransportFactory;
}

/** A message to send. `clientMessageId` is chosen when it is absent; to repeat a send safely, choose it and keep it. */
export type StreamReplyInit = MessageInitShape<typeof StreamReplyRequestSchema>;

/** A client of one Parley, or of two. `Flag`: the names of the flags that a program knows, so that a misspelled one is a type error. */
export class ParleyClient<Flag extends string = string> {
  readonly identity: Client<typeof IdentityService>;
  readonly chat: Client<typeof ChatService>;
  readonly documents: Client<typeof DocumentService>;
  readonly search: Client<typeof SearchService>;
  readonly system: Client<typeof SystemService>;
  readonly tokens: TokenKeeper;
  readonly #options: ParleyOptions;
  readonly #failover: Failover;
  readonly #transport: Transport;
  readonly #flags: LiveFlags;
  readonly #availability: Availability;
  readonly #views = new Map<SideName, ParleyClient<Flag>>();

  /** `only` is for `at`: the one side that the client is a view of. */
  constructor(options: ParleyOptions, only?: Side) {
    this.#options = options;
    const failover = (this.#failover = new Failover(only ? [only] : sidesOf(options), options.failover ?? {}, only !== undefined));
    const home = only ?? failover.sides.primary!;
    this.tokens = home.tokens;
    this.#transport = failover.sides.secondary ? failoverTransport(failover) : home.transport;
    this.#flags = new LiveFlags(failover);
    this.#availability = new Availability(failover);
    if (failover.sides.secondary) {
      failover.flagValue = (name) => this.#flags.placement(name);
      this.#flags.watch(() => failover.settle());
    }
    this.#forgetFlagsOfOthers();
    this.identity = this.#client(IdentityService);
    this.chat = this.#client(ChatService);
    this.documents = this.#client(DocumentService);
    this.search = this.#client(SearchService);
    this.system = this.#client(SystemService);
  }

  /** Who is signed in, as far as this client knows without asking. */
  get user(): SignedInUser | undefined {
    return this.tokens.signIn?.user;
  }

  /** Makes an account and signs it in. */
  async signUp(account: { email: string; password: string; displayName?: string }): Promise<void> {
    const answer = await this.identity.signUp(account);
    this.tokens.signedIn(answer.user, answer.tokens);
  }

  /** Signs in. */
  async signIn(account: { email: string; password: string }): Promise<void> {
    const answer = await this.identity.signIn(account);
    this.tokens.signedIn(answer.user, answer.tokens);
  }

  /** Signs out, here at once and at the server if it can be reached. */
  async signOut(): Promise<void> {
    const refreshToken = this.tokens.signIn?.refreshToken;
    this.tokens.signedOut();
    if (refreshToken !== undefined) await this.identity.signOut({ refreshToken });
  }

  /**
   * Any service of the contract, by what the contract generates for it: one method per rpc, 30 s each for those with one answer unless `timeoutMs`
   * says otherwise, errors as ParleyError. What is not asked for here is not in the bundle.
   */
  service<S extends DescService>(service: S): Client<S> {
    return unaryClient(service, this.#transport, this.#options.timeoutMs, { streams: true });
  }

  /**
   * Whether a flag is on for the user, as far as is known; the fallback while it is not known. Never waits and never throws: flags are watched from
   * the first question on, and what is known outlives any outage. The token needs the scope `system:read`.
   */
  isFeatureEnabled(name: Flag, fallback = false): boolean {
    return this.#flags.enabled(name, fallback);
  }

  /** What a flag says beside on, for example which variant to show; the fallback when it is off, not known, or says nothing. */
  featureValue(name: Flag, fallback = ""): string {
    return this.#flags.value(name, fallback);
  }

  /** Calls the listener whenever the user's flags were heard. Returns what ends it. */
  watchFlags(listener: () => void): () => void {
    return this.#flags.watch(listener);
  }

  /**
   * Whether a feature can be used now: its side answers calls, and the services that it needs take some. Never waits: from the calls that were made,
   * and from Parley's own status, asked for every 15 seconds from the first question on. True as long as nothing speaks against it.
   */
  isAvailable(feature: FeatureName): boolean {
    return this.#availability.isAvailable(feature);
  }

  /** Which side serves a feature now; `primary` when there is only one. */
  sideOf(feature: FeatureName): SideName {
    return this.#failover.sideOf(feature);
  }

  /** Whether all sides have the same data, so that what began at one can go on at the other. True when there is only one. */
  get sharedData(): boolean {
    return this.#failover.sharedData;
  }

  /** Calls the listener when a feature is served by the other side from now on. Returns what ends it. */
  onFailover(listener: (event: FailoverEvent) => void): () => void {
    return this.#failover.watch(listener);
  }

  /** This client's own view of one side, for what must not go elsewhere: signing in there, or a session that is there. */
  at(name: SideName): ParleyClient<Flag> {
    const only = this.#failover.sides[name];
    if (!only) throw new RangeError(`This client has no ${name}.`);
    if (Object.keys(this.#failover.sides).length === 1) return this;
    let view = this.#views.get(name);
    if (!view) this.#views.set(name, (view = new ParleyClient<Flag>(this.#options, only)));
    return view;
  }

  /** Ends what runs in the background: the watching of flags, the asking for status, the probes. Calls work all the same. */
  close(): void {
    for (const view of this.#views.values()) view.close();
    this.#flags.close();
    this.#availability.close();
    this.#failover.close();
  }

  /** Sends a message and follows the turn that answers it. Repeated by itself, it never makes a second turn. */
  streamReply(message: StreamReplyInit, options?: FollowOptions): AsyncGenerator<TurnEvent, void, undefined> {
    const request = { ...message, clientMessageId: message.clientMessageId || newClientMessageId() };
    return followTurn(
      this.#reader((chat, cursor, signal) =>
        cursor.turnId === undefined ? chat.streamReply(request, { signal, timeoutMs: 0 }) : resume(chat, cursor.turnId, cursor.afterSequence, signal),
        options,
      ),
      { turnId: undefined, afterSequence: 0 },
      options,
    );
  }

  /** Follows a turn that runs, or ran a short while ago, from after an event on. */
  resumeReply(turnId: string, afterSequence = 0, options?: FollowOptions): AsyncGenerator<TurnEvent, void, undefined> {
    const open = this.#reader((chat, cursor, signal) => resume(chat, turnId, cursor.afterSequence, signal), options);
    return followTurn(open, { turnId, afterSequence }, options);
  }

  /** Stops a turn and returns its receipt. The readers of the turn get its last event too. `side`: which Parley has it, for a client with two. */
  async stopReply(turnId: string, side?: SideName): Promise<StopReplyResponse> {
    return (side ? this.at(side) : this).chat.stopReply({ turnId });
  }

  /** Opens the connections of one turn: where it is once it has begun, or may have, and where chat is served until then. */
  #reader(
    open: (chat: Client<typeof ChatService>, cursor: Cursor, signal: AbortSignal) => AsyncIterable<EventMessage>,
    options: FollowOptions | undefined,
  ): (cursor: Cursor, signal: AbortSignal) => AsyncIterable<TurnEvent> {
    let at: Side | undefined;
    let arrived = false;
    const failover = this.#failover;
    return async function* (cursor, signal) {
      const free = failover.sharedData || !(arrived || cursor.turnId !== undefined);
      const next = !at && options?.side ? failover.sides[options.side] : at && !free ? at : failover.choose("chat");
      if (!next) throw new RangeError(`This client has no ${options?.side}.`);
      if (next !== at) options?.onSide?.(next.name);
      at = next;
      try {
        yield* events(open(createClient(ChatService, at.transport), cursor, signal));
        arrived = true;
      } catch (thrown) {
        arrived ||= !toParleyError(thrown).unsent;
        throw thrown;
      }
    };
  }

  #client<S extends DescService>(service: S): Client<S> {
    return unaryClient(service, this.#transport, this.#options.timeoutMs);
  }

  /** Flags are those of a user: another one's are not kept, nor shown. */
  #forgetFlagsOfOthers(): void {
    let user = this.user?.userId;
    this.tokens.watch(() => {
      if (this.user?.userId === user) return;
      user = this.user?.userId;
      this.#flags.forget();
    });
  }
}

type EventMessage = { event?: TurnEvent | undefined };

function resume(chat: Client<typeof ChatService>, turnId: string, afterSequence: number, signal: AbortSignal): AsyncIterable<EventMessage> {
  return chat.resumeReply({ turnId, afterSequence }, { signal, timeoutMs: 0 });
}

/** The sides of a client, as its options say. */
function sidesOf(options: ParleyOptions): Side[] {
  const { secondary, failover = {} } = options;
  const factory = options.transport ?? grpcWebTransport(options.baseUrl);
  if (!secondary) {
    // There is nothing to leave it for: what is there again counts at once.
    const health = new SideHealth({ failures: failover.failures ?? 3, successes: 1, stayMs: 0 });
    return [side("primary", factory, tokenKeeper(options.tokens, () => factory([])), health)];
  }
  const policy = { failures: failover.failures ?? 3, successes: failover.successes ?? 2, stayMs: failover.stayMs ?? 10_000 };
  const other = secondary.transport ?? grpcWebTransport(secondary.baseUrl);
  const healths = { primary: new SideHealth(policy), secondary: new SideHealth(policy) };
  const shared = failover.sharedData === true && secondary.tokens === undefined;
  // Tokens of both are renewed where somebody is: the primary's renewal must not wait for the primary.
  const tokens = tokenKeeper(options.tokens, () => (shared && healths.primary.isOpen("identity") ? other : factory)([]));
  const otherTokens = shared ? tokens : tokenKeeper(secondary.tokens ?? memoryTokenStore(), () => other([]));
  return [side("primary", factory, tokens, healths.primary), side("secondary", other, otherTokens, healths.secondary)];
}

async function* events(responses: AsyncIterable<EventMessage>): AsyncGenerator<TurnEvent> {
  for await (const { event } of responses) if (event) yield event;
}

/** A stream without a deadline whose errors are ParleyErrors. */
async function* throwingParleyErrors<T>(stream: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* stream;
  } catch (thrown) {
    throw toParleyError(thrown);
  }
}

/** A client whose calls have a deadline and throw ParleyError. Its streams are the plain ones, which `followTurn` deals with, unless `streams` is set. */
function unaryClient<S extends DescService>(
  service: S,
  transport: Transport,
  timeoutMs = UNARY_TIMEOUT_MS,
  { streams = false } = {},
): Client<S> {
  const plain = createClient(service, transport) as Record<string, (request: unknown, options?: object) => unknown>;
  const client: Record<string, unknown> = {};
  for (const method of service.methods) {
    const call = plain[method.localName]!;
    client[method.localName] =
      method.methodKind === "unary"
        ? (request: unknown, options?: object) =>
            (call(request, { timeoutMs, ...options }) as Promise<unknown>).catch((thrown: unknown) => {
              throw toParleyError(thrown);
            })
        : streams && method.methodKind === "server_streaming"
          ? (request: unknown, options?: object) =>
              throwingParleyErrors(call(request, { timeoutMs: 0, ...options }) as AsyncIterable<unknown>)
          : call;
  }
  return client as Client<S>;
}
