/** What an upload sends beside the bytes, what comes back, and how far a file is, in words. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ErrorReason } from "@parley/client";
import { JobSchema, JobStage, JobState } from "@parley/protos/parley/retrieval/v1/job_pb";
import { expect, test } from "vitest";
import { wordsForJobFailure, wordsForUpload } from "../src/rpc/errors";
import { metadataOf, readAnswer } from "../src/rpc/upload";
import { bytes, moment } from "../src/text/figures";
import { partOf, wordsForJob } from "../src/text/jobs";

const refused = (status: number, body: string) => {
  try {
    readAnswer({ status, body });
  } catch (thrown) {
    return thrown as ReturnType<typeof Object> & { code: Code; reason: ErrorReason; connectionLost: boolean; retryDelayMs?: number };
  }
  throw new Error("It was taken.");
};
const info = (reason: string, metadata = {}) => ({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", domain: "parley", reason, metadata });

test("an answer is read by the names of the contract, and what is new in it is passed over", () => {
  const answer = readAnswer({ status: 200, body: '{"job_id": "job_1", "job": {"state": "JOB_STATE_QUEUED", "size_bytes": "31"}, "duplicate": true, "new": 1}' });
  expect([answer.jobId, answer.job?.state, answer.job?.sizeBytes, answer.duplicate]).toEqual(["job_1", JobState.QUEUED, 31n, true]);
});

test("a refusal keeps its reason and how long to wait", () => {
  const limit = info("ERROR_REASON_LIMIT_EXCEEDED", { limit: "3" });
  const retry = { "@type": "type.googleapis.com/google.rpc.RetryInfo", retry_delay: "1.5s" };
  const error = refused(429, JSON.stringify({ code: 8, message: "You have 3 uploads under way. Wait for one of them.", details: [limit, retry] }));
  expect([error.code, error.reason, error.retryDelayMs]).toEqual([Code.ResourceExhausted, ErrorReason.LIMIT_EXCEEDED, 1500]);
  expect(wordsForUpload(error)).toBe("You have 3 uploads under way. Wait for one of them.");
});

test("no answer, and one from something between, are a lost connection", () => {
  expect(refused(0, "").connectionLost).toBe(true);
  expect(refused(502, "<html>Bad gateway</html>").connectionLost).toBe(true);
  expect(wordsForUpload(refused(0, ""))).toContain("can't be reached");
});

test("a status without words is told by its code", () => {
  expect(refused(413, "").code).toBe(Code.ResourceExhausted);
  expect(refused(403, "null").code).toBe(Code.PermissionDenied);
});

test("no words about an upload speak of messages", () => {
  expect(wordsForUpload(refused(503, JSON.stringify({ code: 14, details: [info("ERROR_REASON_SERVICE_UNAVAILABLE")] })))).not.toContain("message");
});

test("a name says what is Markdown or CSV, and is cut where the server would refuse it", () => {
  expect(JSON.parse(metadataOf("Notes.MD"))).toEqual({ filename: "Notes.MD", mediaType: "MEDIA_TYPE_MARKDOWN" });
  expect(JSON.parse(metadataOf("lease.pdf"))).toEqual({ filename: "lease.pdf" });
  expect(JSON.parse(metadataOf("people.csv"))).toEqual({ filename: "people.csv", mediaType: "MEDIA_TYPE_CSV" });
  expect(JSON.parse(metadataOf("a.constructor"))).toEqual({ filename: "a.constructor" });
  const long = JSON.parse(metadataOf("🦉".repeat(400))) as { filename: string };
  expect(Array.from(long.filename)).toHaveLength(300);
});

const job = (init: MessageInitShape<typeof JobSchema>) => create(JobSchema, init);

test("a job is told by the stage that runs", () => {
  const reading = { stage: JobStage.PARSED, done: 3n, total: 12n, unit: "pages" };
  const received = { stage: JobStage.RECEIVED, done: 31n, total: 31n, unit: "bytes", endTime: timestampFromMs(1) };
  expect(wordsForJob(job({ state: JobState.RUNNING, stage: JobStage.RECEIVED, stages: [received, reading] }))).toBe("Reading: 3 of 12 pages");
  expect(wordsForJob(job({ state: JobState.RUNNING }))).toBe("Working");
  expect(wordsForJob(job({ state: JobState.QUEUED, queuePlace: 1 }))).toBe("Waiting");
  expect(wordsForJob(job({ state: JobState.QUEUED, queuePlace: 3 }))).toBe("Waiting, 2 files before it");
  expect(wordsForJob(job({ state: JobState.DONE }))).toBe("Added");
});

test("the part that is done grows with the stages and within them, and is whole at the end", () => {
  const at = (done: bigint) => partOf(job({ state: JobState.RUNNING, stage: JobStage.RECEIVED, stages: [{ stage: JobStage.PARSED, done, total: 10n }] }));
  expect(at(0n)).toBeCloseTo(1 / 6);
  expect(at(5n)).toBeCloseTo(1.5 / 6);
  expect(at(50n)).toBeCloseTo(2 / 6);
  expect(partOf(job({ state: JobState.DONE, stage: JobStage.DONE }))).toBe(1);
  expect(partOf(job({ state: JobState.QUEUED }))).toBe(0);
});

test("why a file failed is told in the server's words", () => {
  expect(wordsForJobFailure(job({ failure: { message: "the file is locked with a password" } }).failure)).toBe("The file is locked with a password.");
  expect(wordsForJobFailure(undefined)).toBe("This file could not be added.");
});

test("sizes and times are short", () => {
  expect([31, 4_200, 3_200_000].map(bytes)).toEqual(["31 bytes", "4 kB", "3.2 MB"]);
  const now = new Date(2026, 10, 21, 17);
  expect(moment(new Date(2026, 10, 21, 9, 5), now)).toMatch(/^today .*9:05/);
  expect(moment(new Date(2026, 10, 20), now)).toBe("yesterday");
  expect(moment(new Date(2026, 10, 3), now)).toBe("Nov 3");
  expect(moment(new Date(2025, 10, 3), now)).toBe("Nov 3, 2025");
});
