import { create } from "@bufbuild/protobuf";
import { Code, ErrorReason, ParleyError } from "@parley/client";
import { FailureSchema } from "@parley/protos/parley/chat/v1/message_pb";
import { NoticeKind, NoticeSchema } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { expect, test } from "vitest";
import { wordsFor, wordsForFailure, wordsForField, wordsForNotice } from "../src/rpc/errors";

const reasons = Object.values(ErrorReason).filter((reason): reason is ErrorReason => typeof reason === "number" && reason !== ErrorReason.UNSPECIFIED);

test.each(reasons.map((reason) => [ErrorReason[reason], reason] as const))("%s has words of its own", (_, reason) => {
  const fallback = wordsFor(new ParleyError({ message: "m", code: Code.OutOfRange }));
  // A field at fault is told beside the field, and its error as a whole by its code.
  const code = reason === ErrorReason.INVALID_FIELD ? Code.InvalidArgument : Code.OutOfRange;
  expect(wordsFor(new ParleyError({ message: "m", code, reason }))).not.toBe(fallback);
});

test("no words hold what only programs understand", () => {
  for (const reason of reasons) {
    const words = wordsFor(new ParleyError({ message: "grpc_status=13 /srv/app.py", code: Code.Internal, reason }));
    expect(words).not.toMatch(/ERROR_|_|grpc|\/|\bRPC\b|status code/i);
    expect(words).toMatch(/^[A-Z].*[.!?]$/);
  }
});

test("a field at fault is told beside the field, and not beside others", () => {
  const error = new ParleyError({ message: "m", code: Code.InvalidArgument, reason: ErrorReason.INVALID_FIELD, fieldViolations: [{ field: "email", description: "no @" }] });
  expect(wordsForField(error, "email")).toBe("This doesn't look like an e-mail address.");
  expect(wordsForField(error, "password")).toBeUndefined();
  expect(wordsForField(undefined, "email")).toBeUndefined();
});

test("an address that is taken is told beside the address", () => {
  const error = new ParleyError({ message: "m", code: Code.AlreadyExists, reason: ErrorReason.EMAIL_TAKEN });
  expect(wordsForField(error, "email")).toContain("account with this e-mail address");
});

test("a lost connection is told as one", () => {
  expect(wordsFor(new ParleyError({ message: "m", code: Code.Unknown, connectionLost: true }))).toContain("can't be reached");
});

test("how long to wait is told in seconds", () => {
  expect(wordsFor(new ParleyError({ message: "m", code: Code.ResourceExhausted, reason: ErrorReason.TOO_MANY_TURNS, retryDelayMs: 3200 }))).toContain("About 4 seconds");
});

test("a limit is named with its size", () => {
  const error = new ParleyError({ message: "m", code: Code.ResourceExhausted, reason: ErrorReason.LIMIT_EXCEEDED, metadata: { limit: "4194304" } });
  expect(wordsFor(error)).toContain("4,194,304");
});

test("a failure of an answer is told by its reason, and by its own words when the reason is new", () => {
  expect(wordsForFailure(create(FailureSchema, { reason: "ERROR_REASON_PROVIDER_STALLED", message: "x" }))).toContain("stopped in the middle");
  expect(wordsForFailure(create(FailureSchema, { reason: "ERROR_REASON_OF_TOMORROW", message: "the model is on holiday" }))).toBe("The model is on holiday.");
  expect(wordsForFailure(undefined)).toBe("This answer failed.");
});

test("a notice of a kind that the page does not know shows the server's words", () => {
  expect(wordsForNotice(create(NoticeSchema, { kind: 99 as NoticeKind, message: "something new" }))).toBe("Something new.");
});
