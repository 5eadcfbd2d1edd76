/** The trace of an answer: read until the edge has told its part, and laid out over one time. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient } from "@parley/client";
import { SpanSchema } from "@parley/protos/parley/telemetry/v1/span_pb";
import { TraceService } from "@parley/protos/parley/telemetry/v1/trace_service_pb";
import { expect, test } from "vitest";
import { readTrace, type TraceState } from "../src/state/trace";
import { nameOf, waterfall } from "../src/text/trace";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e9, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };

/** What each question is answered with, in this order: the services whose spans there are, or the code of an error. */
async function read(...answers: (string[] | Code)[]): Promise<TraceState[]> {
  let asked = 0;
  const parley = new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) =>
      createRouterTransport(
        ({ service }) =>
          service(TraceService, {
            getTrace: () => {
              const answer = answers[asked]!;
              asked += 1;
              if (!Array.isArray(answer)) throw new ConnectError("no", answer);
              return { spans: answer.map((name) => ({ service: name })) };
            },
          }),
        { transport: { interceptors } },
      ),
  });
  const told: TraceState[] = [];
  await readTrace(parley, "ab", (state) => told.push(state), new AbortController().signal, [0, 0]);
  expect(asked).toBe(answers.length);
  return told;
}

const services = (states: TraceState[]) => states.map(({ spans }) => spans.map(({ service }) => service));

test("it is asked for again until the edge has told its part, and no more than three times", async () => {
  expect(services(await read(["chat", "edge"]))).toEqual([["chat", "edge"]]);
  expect(services(await read(["chat"], ["chat", "edge"]))).toEqual([["chat"], ["chat", "edge"]]);
  expect(services(await read(["chat"], ["chat"], ["chat"]))).toHaveLength(3);
});

test("a trace that is not there yet may come, and one that nobody keeps is no error", async () => {
  expect((await read(Code.NotFound, ["edge"])).map(({ absent }) => absent)).toEqual([true, false]);
  const [state] = await read(Code.PermissionDenied);
  expect(state).toMatchObject({ absent: false, error: { code: Code.PermissionDenied } });
});

test("spans stand within those that they are a part of, and the first token where the provider says", () => {
  const span = (spanId: string, parentSpanId: string, from: number, to: number, attributes: Record<string, string> = {}) =>
    create(SpanSchema, { spanId, parentSpanId, startTime: timestampFromMs(1000 + from), endTime: timestampFromMs(1000 + to), attributes });
  const { bars, durationMs, firstTokenMs } = waterfall([
    span("call", "browser", 0, 900),
    span("generate", "call", 100, 850, { "parley.time_to_first_token_ms": "400" }),
    span("provider", "generate", 200, 840, { "gen_ai.response.time_to_first_chunk": "0.25" }),
    span("late", "call", 850, 1000),
  ]);
  expect(bars.map(({ depth, startMs, durationMs: long }) => [depth, startMs, long])).toEqual([
    [0, 0, 900],
    [1, 100, 750],
    [2, 200, 640],
    [1, 850, 150],
  ]);
  expect([durationMs, firstTokenMs]).toEqual([1000, 450]);
  expect(waterfall([span("one", "", 5, 5)])).toMatchObject({ durationMs: 1, firstTokenMs: undefined });
});

test("an rpc is called without its package", () => {
  expect(nameOf(create(SpanSchema, { name: "parley.chat.v1.ChatService/StreamReply" }))).toBe("ChatService/StreamReply");
  expect(nameOf(create(SpanSchema, { name: "chat.turn.search" }))).toBe("chat.turn.search");
});
