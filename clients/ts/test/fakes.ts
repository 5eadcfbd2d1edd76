/** What the tests of the client talk to: Parley's services in this process, scripted by the test. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type ConnectRouter } from "@connectrpc/connect";
import { ErrorInfoSchema } from "@parley/protos/google/rpc/error_details_pb";
import { MessageState } from "@parley/protos/parley/chat/v1/message_pb";
import { TurnEventSchema, type TurnEvent } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { memoryTokenStore, ParleyClient, type SignIn, type TokenStore } from "../src/index.js";

export const TURN = "trn_1";

type Event = Parameters<typeof create<typeof TurnEventSchema>>[1];

function event(sequence: number, kind: NonNullable<Event>["event"], firstSequence = sequence): TurnEvent {
  return create(TurnEventSchema, { turnId: TURN, sequence, firstSequence, ...(kind ? { event: kind } : {}) });
}

export function started(): TurnEvent {
  return event(1, { case: "started", value: { sessionId: "ses_1", userMessageId: "msg_1", messageId: "msg_2" } });
}

export function delta(sequence: number, text: string, firstSequence = sequence): TurnEvent {
  return event(sequence, { case: "delta", value: { text } }, firstSequence);
}

export function queued(sequence: number, place: number): TurnEvent {
  return event(sequence, { case: "queued", value: { place, message: `It waits in place ${place}.` } });
}

export function completed(sequence: number): TurnEvent {
  return event(sequence, { case: "completed", value: { message: { messageId: "msg_2", state: MessageState.COMPLETED } } });
}

export function failed(sequence: number): TurnEvent {
  return event(sequence, { case: "failed", value: { failure: { code: 14, reason: "ERROR_REASON_PROVIDER_UNAVAILABLE" } } });
}

/** An error as the services make them. */
export function parleyError(code: Code, reason: string, metadata: Record<string, string> = {}): ConnectError {
  return new ConnectError("for people", code, undefined, [{ desc: ErrorInfoSchema, value: { domain: "parley", reason, metadata } }]);
}

/** What a cut connection looks like to a client. */
export function cut(): ConnectError {
  return new ConnectError("missing trailer", Code.Unavailable);
}

export function signedIn(accessToken = "access-1", renewAt = Date.now() + 60_000): SignIn {
  return { accessToken, refreshToken: `refresh-of-${accessToken}`, renewAt, user: { userId: "usr_1", email: "ada@example.com", displayName: "Ada" } };
}

/** A client that talks to the routes of the test. */
export function client(routes: (router: ConnectRouter) => void, tokens: TokenStore = memoryTokenStore(signedIn())): ParleyClient {
  return new ParleyClient({
    baseUrl: "http://parley.test",
    tokens,
    transport: (interceptors) => createRouterTransport(routes, { transport: { interceptors } }),
  });
}

/** All that an iteration gives. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

export function sequences(events: readonly TurnEvent[]): number[] {
  return events.map(({ sequence }) => sequence);
}
