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
import { toParleyError } from "./errors.js";
import { newClientMessageId } from "./ids.js";
import type { SignedInUser, TokenKeeper, TokenStore } from "./tokens.js";
import { authenticatedTransport, grpcWebTransport, type TransportFactory } from "./transport.js";
import { followTurn, type FollowOptions } from "./turn.js";

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
}

/** A message to send. `clientMessageId` is chosen when it is absent; to repeat a send safely, choose it and keep it. */
export type StreamReplyInit = MessageInitShape<typeof StreamReplyRequestSchema>;

export class ParleyClient {
  readonly identity: Client<typeof IdentityService>;
  readonly chat: Client<typeof ChatService>;
  readonly documents: Client<typeof DocumentService>;
  readonly search: Client<typeof SearchService>;
  readonly system: Client<typeof SystemService>;
  readonly tokens: TokenKeeper;
  readonly #streams: Client<typeof ChatService>;
  readonly #transport: Transport;

  constructor(options: ParleyOptions) {
    const factory = options.transport ?? grpcWebTransport(options.baseUrl);
    const { transport, tokens } = authenticatedTransport(factory, options.tokens);
    this.tokens = tokens;
    this.#transport = transport;
    this.identity = unaryClient(IdentityService, transport);
    this.chat = unaryClient(ChatService, transport);
    this.documents = unaryClient(DocumentService, transport);
    this.search = unaryClient(SearchService, transport);
    this.system = unaryClient(SystemService, transport);
    this.#streams = createClient(ChatService, transport);
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
    return unaryClient(service, this.#transport, { streams: true });
  }

  /** Sends a message and follows the turn that answers it. Repeated by itself, it never makes a second turn. */
  streamReply(message: StreamReplyInit, options?: FollowOptions): AsyncGenerator<TurnEvent, void, undefined> {
    const request = { ...message, clientMessageId: message.clientMessageId || newClientMessageId() };
    return followTurn(
      (cursor, signal) =>
        cursor.turnId === undefined
          ? events(this.#streams.streamReply(request, { signal, timeoutMs: 0 }))
          : this.#resume(cursor.turnId, cursor.afterSequence, signal),
      { turnId: undefined, afterSequence: 0 },
      options,
    );
  }

  /** Follows a turn that runs, or ran a short while ago, from after an event on. */
  resumeReply(turnId: string, afterSequence = 0, options?: FollowOptions): AsyncGenerator<TurnEvent, void, undefined> {
    return followTurn((cursor, signal) => this.#resume(turnId, cursor.afterSequence, signal), { turnId, afterSequence }, options);
  }

  /** Stops a turn and returns its receipt. The readers of the turn get its last event too. */
  async stopReply(turnId: string): Promise<StopReplyResponse> {
    return this.chat.stopReply({ turnId });
  }

  #resume(turnId: string, afterSequence: number, signal: AbortSignal): AsyncIterable<TurnEvent> {
    return events(this.#streams.resumeReply({ turnId, afterSequence }, { signal, timeoutMs: 0 }));
  }
}

async function* events(responses: AsyncIterable<{ event?: TurnEvent | undefined }>): AsyncGenerator<TurnEvent> {
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
function unaryClient<S extends DescService>(service: S, transport: Transport, { streams = false } = {}): Client<S> {
  const plain = createClient(service, transport) as Record<string, (request: unknown, options?: object) => unknown>;
  const client: Record<string, unknown> = {};
  for (const method of service.methods) {
    const call = plain[method.localName]!;
    client[method.localName] =
      method.methodKind === "unary"
        ? (request: unknown, options?: object) =>
            (call(request, { timeoutMs: UNARY_TIMEOUT_MS, ...options }) as Promise<unknown>).catch((thrown: unknown) => {
              throw toParleyError(thrown);
            })
        : streams && method.methodKind === "server_streaming"
          ? (request: unknown, options?: object) =>
              throwingParleyErrors(call(request, { timeoutMs: 0, ...options }) as AsyncIterable<unknown>)
          : call;
  }
  return client as Client<S>;
}
