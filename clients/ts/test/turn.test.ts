import { Code, type ConnectRouter } from "@connectrpc/connect";
import { ChatService } from "@parley/protos/parley/chat/v1/chat_service_pb";
import type { TurnEvent } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ErrorReason, ParleyError, type TurnConnection } from "../src/index.js";
import { all, client, completed, cut, delta, failed, parleyError, queued, sequences, started, TURN } from "./fakes.js";

/** What one connection delivers, and what it ends with. */
type Connection = readonly (TurnEvent | Error | "silence")[];

interface Call {
  readonly rpc: "stream" | "resume";
  readonly after: number;
  readonly clientMessageId: string;
}

/** A chat whose connections are scripted in order, whichever rpc opens them. */
function scripted(...connections: Connection[]) {
  const calls: Call[] = [];
  /** The signals of the connections, as the server has them: aborted when the client has hung up. */
  const signals: AbortSignal[] = [];
  async function* play(signal: AbortSignal) {
    signals.push(signal);
    for (const step of connections[calls.length - 1] ?? [new Error("The script is over.")]) {
      if (step instanceof Error) throw step;
      if (step === "silence") await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
      else yield { event: step };
    }
  }
  const routes = ({ service }: ConnectRouter) =>
    service(ChatService, {
      streamReply: (request, context) => {
        calls.push({ rpc: "stream", after: 0, clientMessageId: request.clientMessageId });
        return play(context.signal);
      },
      resumeReply: (request, context) => {
        calls.push({ rpc: "resume", after: request.afterSequence, clientMessageId: "" });
        return play(context.signal);
      },
    });
  return { calls, signals, parley: client(routes) };
}

beforeEach(() => void vi.useFakeTimers({ shouldAdvanceTime: true, advanceTimeDelta: 200 }));
afterEach(() => void vi.useRealTimers());

test("a whole turn arrives over one connection", async () => {
  const { parley, calls } = scripted([started(), delta(2, "Hello"), completed(3)]);
  const events = await all(parley.streamReply({ message: "hi" }));
  expect(sequences(events)).toEqual([1, 2, 3]);
  expect(calls).toHaveLength(1);
});

test("a stream that is cut is resumed after the last event, without a gap and without a repeat", async () => {
  const { parley, calls } = scripted([started(), delta(2, "Hel"), cut()], [delta(3, "lo"), cut()], [completed(4)]);
  const events = await all(parley.streamReply({ message: "hi" }));
  expect(sequences(events)).toEqual([1, 2, 3, 4]);
  expect(calls.map(({ rpc, after }) => [rpc, after])).toEqual([["stream", 0], ["resume", 2], ["resume", 3]]);
});

test("a stream that ends without the turn's end counts as cut", async () => {
  const { parley, calls } = scripted([started(), delta(2, "Hel")], [delta(3, "lo"), completed(4)]);
  expect(sequences(await all(parley.streamReply({ message: "hi" })))).toEqual([1, 2, 3, 4]);
  expect(calls[1]).toMatchObject({ rpc: "resume", after: 2 });
});

test("a send that is cut before its first event is sent again under the same name", async () => {
  const { parley, calls } = scripted([cut()], [started(), completed(2)]);
  await all(parley.streamReply({ message: "hi" }));
  expect(calls.map(({ rpc }) => rpc)).toEqual(["stream", "stream"]);
  expect(calls[0]!.clientMessageId).toMatch(/^[0-9a-f]{32}$/);
  expect(calls[1]!.clientMessageId).toBe(calls[0]!.clientMessageId);
});

test("the caller's own name for a message is used", async () => {
  const { parley, calls } = scripted([started(), completed(2)]);
  await all(parley.streamReply({ message: "hi", clientMessageId: "mine" }));
  expect(calls[0]!.clientMessageId).toBe("mine");
});

test("events that arrived already are dropped", async () => {
  const { parley } = scripted([started(), delta(2, "Hel"), cut()], [started(), delta(2, "Hel"), delta(3, "lo"), completed(4)]);
  expect(sequences(await all(parley.streamReply({ message: "hi" })))).toEqual([1, 2, 3, 4]);
});

test("merged deltas are one step", async () => {
  const { parley, calls } = scripted([started(), delta(5, "Hello", 2), completed(6)]);
  expect(sequences(await all(parley.streamReply({ message: "hi" })))).toEqual([1, 5, 6]);
  expect(calls).toHaveLength(1);
});

test("a jump over an event is not delivered: the stream is resumed before it", async () => {
  const { parley, calls } = scripted([started(), delta(3, "lo")], [delta(2, "Hel"), delta(3, "lo"), completed(4)]);
  expect(sequences(await all(parley.streamReply({ message: "hi" })))).toEqual([1, 2, 3, 4]);
  expect(calls[1]).toMatchObject({ rpc: "resume", after: 1 });
});

test("merged deltas that overlap what arrived are asked for again", async () => {
  const { parley, calls } = scripted([started(), delta(2, "a"), delta(4, "abc", 2)], [delta(4, "bc", 3), completed(5)]);
  expect(sequences(await all(parley.streamReply({ message: "hi" })))).toEqual([1, 2, 4, 5]);
  expect(calls[1]).toMatchObject({ rpc: "resume", after: 2 });
});

test("a connection that falls silent is replaced", async () => {
  const { parley, calls } = scripted([started(), "silence"], [completed(2)]);
  expect(sequences(await all(parley.streamReply({ message: "hi" }, { idleMs: 300 })))).toEqual([1, 2]);
  expect(calls[1]).toMatchObject({ rpc: "resume", after: 1 });
});

test("a turn that waits for a model may be silent for as long as it likes", async () => {
  const silence = [...Array<unknown>(5)].map((): ["silence"] => ["silence"]);
  const idle = parleyError(Code.DeadlineExceeded, "ERROR_REASON_STREAM_IDLE");
  const { parley, calls } = scripted([started(), queued(2, 1), "silence"], ...silence, [idle], [completed(3)]);
  const told: TurnConnection[] = [];
  const options = { idleMs: 300, maxFailures: 1, onConnection: (connection: TurnConnection) => told.push(connection) };
  expect(sequences(await all(parley.streamReply({ message: "hi", queueWhenUnavailable: true }, options)))).toEqual([1, 2, 3]);
  expect(calls).toHaveLength(8);
  expect(calls.slice(1).every(({ after }) => after === 2)).toBe(true);
  expect(told).toEqual([]);
});

test("a turn that waited and is cut reconnects as any other, and silence after its first words is no waiting", async () => {
  const { parley } = scripted([started(), queued(2, 1), cut()], [delta(3, "a"), "silence"], ["silence"]);
  const told: string[] = [];
  const options = { idleMs: 300, maxFailures: 1, onConnection: ({ state }: TurnConnection) => told.push(state) };
  await expect(all(parley.streamReply({ message: "hi" }, options))).rejects.toThrow("fell silent");
  expect(told).toEqual(["reconnecting", "connected", "reconnecting"]);
});

test("the status after a failed event is not thrown: the event tells it", async () => {
  const { parley } = scripted([started(), failed(2), parleyError(Code.Unavailable, "ERROR_REASON_PROVIDER_UNAVAILABLE")]);
  const events = await all(parley.streamReply({ message: "hi" }));
  expect(events.at(-1)?.event.case).toBe("failed");
});

test("a refusal is thrown at once, as a ParleyError with its reason", async () => {
  const { parley, calls } = scripted([parleyError(Code.AlreadyExists, "ERROR_REASON_CLIENT_MESSAGE_ID_REUSED", { turn_id: TURN, trace_id: "f00d" })]);
  const error = await all(parley.streamReply({ message: "hi" })).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ParleyError);
  expect(error).toMatchObject({ code: Code.AlreadyExists, reason: ErrorReason.CLIENT_MESSAGE_ID_REUSED, traceId: "f00d" });
  expect(calls).toHaveLength(1);
});

test("a service that is away is asked again", async () => {
  const { parley, calls } = scripted([parleyError(Code.Unavailable, "ERROR_REASON_SERVICE_UNAVAILABLE")], [started(), completed(2)]);
  await all(parley.streamReply({ message: "hi" }));
  expect(calls).toHaveLength(2);
});

test("an expired log ends the resumption with its reason", async () => {
  const { parley } = scripted([parleyError(Code.FailedPrecondition, "ERROR_REASON_TURN_LOG_EXPIRED")]);
  await expect(all(parley.resumeReply(TURN))).rejects.toMatchObject({ reason: ErrorReason.TURN_LOG_EXPIRED });
});

test("after as many failures in a row as are allowed, the last error is thrown", async () => {
  const { parley, calls } = scripted([started(), cut()], [cut()], [cut()], [cut()]);
  await expect(all(parley.streamReply({ message: "hi" }, { maxFailures: 2 }))).rejects.toMatchObject({ connectionLost: true });
  expect(calls).toHaveLength(3);
});

test("a new event makes the failures before it forgotten", async () => {
  const { parley } = scripted([started(), cut()], [delta(2, "a"), cut()], [delta(3, "b"), cut()], [completed(4)]);
  expect(sequences(await all(parley.streamReply({ message: "hi" }, { maxFailures: 1 })))).toEqual([1, 2, 3, 4]);
});

test("losing and regaining the connection is told", async () => {
  const { parley } = scripted([started(), cut()], [cut()], [delta(2, "a"), completed(3)]);
  const told: TurnConnection[] = [];
  await all(parley.streamReply({ message: "hi" }, { onConnection: (connection) => told.push(connection) }));
  expect(told.map((connection) => (connection.state === "reconnecting" ? connection.failures : connection.state))).toEqual([1, 2, "connected"]);
});

test("the caller's signal ends the iteration with its reason, and closes the connection", async () => {
  const { parley, signals } = scripted([started(), "silence"]);
  const controller = new AbortController();
  const iteration = parley.streamReply({ message: "hi" }, { signal: controller.signal });
  expect((await iteration.next()).value?.sequence).toBe(1);
  const next = iteration.next();
  const reason = new Error("The reader left.");
  controller.abort(reason);
  await expect(next).rejects.toBe(reason);
  await vi.waitFor(() => expect(signals[0]?.aborted).toBe(true));
});

test("leaving the loop closes the connection and does not open another", async () => {
  const { parley, calls, signals } = scripted([started(), delta(2, "a"), delta(3, "b"), "silence"]);
  for await (const event of parley.streamReply({ message: "hi" })) if (event.sequence === 2) break;
  await vi.waitFor(() => expect(signals[0]?.aborted).toBe(true));
  // Longer than the first wait, after which a connection that counted as lost would be replaced.
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(calls).toHaveLength(1);
});

test("a turn is resumed from the caller's cursor", async () => {
  const { parley, calls } = scripted([delta(8, "a"), completed(9)]);
  expect(sequences(await all(parley.resumeReply(TURN, 7)))).toEqual([8, 9]);
  expect(calls).toEqual([{ rpc: "resume", after: 7, clientMessageId: "" }]);
});
