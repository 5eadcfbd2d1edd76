import { Code, ConnectError } from "@connectrpc/connect";
import { ChatService } from "@parley/protos/parley/chat/v1/chat_service_pb";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@parley/protos/google/rpc/error_details_pb";
import { expect, test } from "vitest";
import { ErrorReason, ParleyError, toParleyError } from "../src/index.js";
import { backoffMs } from "../src/backoff.js";
import { client, cut, parleyError } from "./fakes.js";

test("an error of Parley's brings its reason, fields, delay and trace", () => {
  const error = toParleyError(
    new ConnectError("title: at most 200 characters", Code.InvalidArgument, undefined, [
      { desc: ErrorInfoSchema, value: { domain: "parley", reason: "ERROR_REASON_INVALID_FIELD", metadata: { trace_id: "ab12", field: "title" } } },
      { desc: BadRequestSchema, value: { fieldViolations: [{ field: "title", description: "at most 200 characters" }] } },
      { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500_000_000 } } },
    ]),
  );
  expect(error).toMatchObject({
    message: "title: at most 200 characters",
    code: Code.InvalidArgument,
    reason: ErrorReason.INVALID_FIELD,
    fieldViolations: [{ field: "title", description: "at most 200 characters" }],
    retryDelayMs: 1500,
    traceId: "ab12",
    connectionLost: false,
  });
});

test("a reason that this client does not know is unspecified", () => {
  expect(toParleyError(parleyError(Code.Internal, "ERROR_REASON_OF_TOMORROW")).reason).toBe(ErrorReason.UNSPECIFIED);
});

test("details of another domain are not taken for Parley's", () => {
  const error = new ConnectError("x", Code.NotFound, undefined, [{ desc: ErrorInfoSchema, value: { domain: "elsewhere", reason: "ERROR_REASON_EMAIL_TAKEN" } }]);
  expect(toParleyError(error).reason).toBe(ErrorReason.UNSPECIFIED);
});

test("what the edge answers itself keeps its gRPC status, its delay and its trace", () => {
  const headers = { "grpc-status": "8", "retry-after": "4", "x-trace-id": "cd34" };
  expect(toParleyError(new ConnectError("limited", Code.Unavailable, headers))).toMatchObject({
    code: Code.ResourceExhausted,
    retryDelayMs: 4000,
    traceId: "cd34",
    connectionLost: false,
  });
});

test("a failed fetch and a body that ends in the middle are lost connections", () => {
  expect(toParleyError(ConnectError.from(new TypeError("Failed to fetch"))).connectionLost).toBe(true);
  expect(toParleyError(ConnectError.from("missing trailer")).connectionLost).toBe(true);
});

test("an error of Parley's is never a lost connection, whatever its code", () => {
  expect(toParleyError(parleyError(Code.Unavailable, "ERROR_REASON_PROVIDER_UNAVAILABLE")).connectionLost).toBe(false);
});

test("a read that the connection loses is repeated; a write is not", async () => {
  let reads = 0;
  let writes = 0;
  const parley = client(({ service }) =>
    service(ChatService, {
      listSessions: () => {
        reads += 1;
        if (reads < 3) throw cut();
        return {};
      },
      createSession: () => {
        writes += 1;
        throw cut();
      },
    }),
  );
  await parley.chat.listSessions({});
  expect(reads).toBe(3);
  await expect(parley.chat.createSession({})).rejects.toBeInstanceOf(ParleyError);
  expect(writes).toBe(1);
});

test("the waits between attempts are drawn between nothing and a bound that doubles", () => {
  expect([1, 2, 3].map((failures) => backoffMs(failures, () => 1))).toEqual([300, 600, 1200]);
  expect(backoffMs(1, () => 0)).toBe(0);
  expect(backoffMs(50, () => 1)).toBe(10_000);
});
