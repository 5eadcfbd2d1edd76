/**
 * The way to the edge: gRPC-web with the caller's token on every call, renewed when it was refused, and reads repeated when the connection was
 * lost on the way.
 */
import {
  Code,
  ConnectError,
  createClient,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { IdentityService } from "@parley/protos/parley/identity/v1/identity_service_pb";
import { SystemService } from "@parley/protos/parley/system/v1/system_service_pb";
import { pause, backoffMs } from "./backoff.js";
import type { SideHealth } from "./circuit.js";
import { toParleyError } from "./errors.js";
import type { Side, SideName } from "./failover.js";
import { featureOf } from "./features.js";
import { TokenKeeper, type TokenStore } from "./tokens.js";

/** The rpcs that the contract declares anonymous: they carry no token, so that none can be refused. */
const ANONYMOUS = new Set<unknown>([
  IdentityService.method.signUp,
  IdentityService.method.signIn,
  IdentityService.method.refreshTokens,
  IdentityService.method.signOut,
  IdentityService.method.exchangeToken,
  IdentityService.method.getJsonWebKeySet,
  SystemService.method.getHealth,
]);

/** How often a read is tried in all when the connection is lost on the way. */
const READ_ATTEMPTS = 3;

/** Makes the transport below: what carries calls, given what every call passes through. */
export type TransportFactory = (interceptors: Interceptor[]) => Transport;

/** gRPC-web in its binary form, which is what a browser can speak. */
export function grpcWebTransport(baseUrl: string): TransportFactory {
  return (interceptors) => createGrpcWebTransport({ baseUrl, interceptors });
}

/** The keeper of a store's tokens, which renews them over a transport. */
export function tokenKeeper(store: TokenStore, renewal: () => Transport): TokenKeeper {
  return new TokenKeeper(store, async (refreshToken) => {
    const { tokens: pair } = await createClient(IdentityService, renewal()).refreshTokens({ refreshToken }, { timeoutMs: 20_000 });
    if (!pair) throw new ConnectError("The answer holds no tokens.", Code.Internal);
    return pair;
  });
}

/** A side: a transport with tokens that notes what becomes of its calls. */
export function side(name: SideName, factory: TransportFactory, tokens: TokenKeeper, health: SideHealth): Side {
  const leaving = { leaves: (_feature: string): boolean => false };
  const transport = factory([repeatLostReads(leaving), bearer(tokens), noting(health)]);
  return { name, transport, probe: factory([]), tokens, health, leaving };
}

type AnyRequest = UnaryRequest | StreamRequest;
type AnyResponse = UnaryResponse | StreamResponse;
type Next = (request: AnyRequest) => Promise<AnyResponse>;

/** Puts the token on the call. A refused token is renewed and the call repeated, once, if no message has arrived. */
function bearer(tokens: TokenKeeper): Interceptor {
  return (next) => async (request) => {
    if (ANONYMOUS.has(request.method)) return next(request);
    const attempt = await repeatable(request);
    const token = await tokens.accessToken();
    try {
      return await begin(next, attempt(token));
    } catch (thrown) {
      if (toParleyError(thrown).code !== Code.Unauthenticated) throw thrown;
      return begin(next, attempt(await tokens.accessToken(token)));
    }
  };
}

/** Makes copies of a request, each with its own token. */
async function repeatable(request: AnyRequest): Promise<(token: string) => AnyRequest> {
  const header = (token: string) => {
    const copy = new Headers(request.header);
    copy.set("authorization", `Bearer ${token}`);
    return copy;
  };
  if (!request.stream) return (token) => ({ ...request, header: header(token) });
  // A stream of requests can be read once. Parley's have one message.
  const messages = await collect(request.message);
  return (token) => ({ ...request, header: header(token), message: replay(messages) });
}

/** Starts a call. A stream has started when its first message, or its end, is there: until then it can be refused. */
async function begin(next: Next, request: AnyRequest): Promise<AnyResponse> {
  const response = await next(request);
  if (!response.stream) return response;
  const rest = response.message[Symbol.asyncIterator]();
  const first = await rest.next();
  return { ...response, message: resumeIteration(first, rest) };
}

/** Tells the health of a side what became of each call. What the caller ended says nothing. */
function noting(health: SideHealth): Interceptor {
  return (next) => async (request) => {
    const feature = featureOf(request.service.typeName);
    const failed = (thrown: unknown) => {
      if (!request.signal.aborted || isDeadline(request.signal)) health.failed(feature, toParleyError(thrown));
    };
    try {
      const response = await next(request);
      if (!response.stream) {
        health.answered(feature);
        return response;
      }
      return { ...response, message: noted(response.message, () => health.answered(feature), failed) };
    } catch (thrown) {
      failed(thrown);
      throw thrown;
    }
  };
}

/** Whether a call was ended by its own deadline, which Connect makes a signal of. */
function isDeadline(signal: AbortSignal): boolean {
  return signal.reason instanceof ConnectError && signal.reason.code === Code.DeadlineExceeded;
}

async function* noted<T>(messages: AsyncIterable<T>, answered: () => void, failed: (thrown: unknown) => void): AsyncGenerator<T> {
  let first = true;
  try {
    for await (const message of messages) {
      if (first) answered();
      first = false;
      yield message;
    }
  } catch (thrown) {
    failed(thrown);
    throw thrown;
  }
}

const repeatLostReads = (leaving: Side["leaving"]): Interceptor => (next) => async (request) => {
  const read = request.method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  if (request.stream || !read) return next(request);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await next(request);
    } catch (thrown) {
      if (attempt >= READ_ATTEMPTS || request.signal.aborted || !toParleyError(thrown).connectionLost) throw thrown;
      if (leaving.leaves(featureOf(request.service.typeName))) throw thrown;
      await pause(backoffMs(attempt), request.signal);
    }
  }
};

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

async function* replay<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function* resumeIteration<T>(first: IteratorResult<T>, rest: AsyncIterator<T>): AsyncGenerator<T> {
  for (let result = first; !result.done; result = await rest.next()) yield result.value;
}
