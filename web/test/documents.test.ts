/** Documents: files are sent one by one, their jobs are watched, and what came of them is shown. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient, ParleyError } from "@parley/client";
import { DocumentService } from "@parley/protos/parley/retrieval/v1/document_service_pb";
import { IngestResponseSchema, IngestService, type IngestResponse } from "@parley/protos/parley/retrieval/v1/ingest_service_pb";
import { JobSchema, JobState, type Job } from "@parley/protos/parley/retrieval/v1/job_pb";
import { afterEach, expect, test, vi } from "vitest";
import type { Sending } from "../src/rpc/upload";
import { canRetry, Documents, FILE_BYTES, isOver, jobsToShow } from "../src/state/documents";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };

const job = (name: string, state: JobState, more: MessageInitShape<typeof JobSchema> = {}) =>
  create(JobSchema, { jobId: `job_${name}`, documentId: `doc_${name}`, contentSha256: name, filename: `${name}.md`, state, ...more });

/** A retrieval in this process: the test says how its jobs are. */
class Retrieval {
  readonly jobs = new Map<string, Job>();
  readonly retried: string[] = [];
  readonly sendings: (Sending & { end: (response: IngestResponse) => void; fail: (error: unknown) => void })[] = [];
  watches = 0;
  mostWatches = 0;
  cutWatches = 0;
  #wake: (() => void)[] = [];
  #time = 0;

  readonly documents: Documents;

  constructor() {
    const parley = new ParleyClient({
      baseUrl: "http://parley.test",
      tokens: memoryTokenStore(SIGN_IN),
      transport: (interceptors) =>
        createRouterTransport(
          ({ service }) => {
            service(IngestService, {
              listJobs: () => ({ jobs: [...this.jobs.values()].toReversed() }),
              watchJob: ({ jobId }, { signal }) => this.#watch(jobId, signal),
              cancelJob: ({ jobId }) => ({ job: this.set(job(jobId.slice(4), JobState.CANCELLED)), cancelled: true }),
              retryJob: ({ jobId }) => {
                this.retried.push(jobId);
                return { job: this.set(job(jobId.slice(4), JobState.QUEUED)) };
              },
            });
            service(DocumentService, {
              listDocuments: () => ({
                documents: [...this.jobs.values()].filter(({ state }) => state === JobState.DONE).map(({ documentId }) => ({ documentId, title: documentId })),
              }),
              deleteDocument: () => {
                throw new ConnectError("gone", Code.NotFound);
              },
            });
          },
          { transport: { interceptors } },
        ),
    });
    const send = (sending: Sending) =>
      new Promise<IngestResponse>((end, fail) => {
        sending.signal.addEventListener("abort", () => fail(sending.signal.reason));
        this.sendings.push({ ...sending, end, fail });
      });
    this.documents = new Documents(parley, { send, askEveryMs: 5 });
  }

  set(changed: Job): Job {
    const next = { ...changed, updateTime: timestampFromMs((this.#time += 1)) };
    this.jobs.set(next.jobId, next);
    for (const wake of this.#wake.splice(0)) wake();
    return next;
  }

  /** Ends the sending of a file: it has a job. */
  arrived(at: number, made: Job, duplicate = false): void {
    this.sendings[at]!.end(create(IngestResponseSchema, { jobId: made.jobId, job: this.set(made), duplicate }));
  }

  get rows() {
    return this.documents.store.getState().uploads.map(({ name, sent, job: known }) => [name, known ? JobState[known.state] : sent]);
  }

  async *#watch(jobId: string, signal: AbortSignal) {
    this.watches += 1;
    this.mostWatches = Math.max(this.mostWatches, this.watches);
    try {
      while (!signal.aborted) {
        if (this.cutWatches > 0) {
          this.cutWatches -= 1;
          throw new ConnectError("cut", Code.Unavailable);
        }
        const known = this.jobs.get(jobId);
        if (!known) throw new ConnectError("no such job", Code.NotFound);
        yield { job: known };
        if ([JobState.DONE, JobState.FAILED, JobState.CANCELLED].includes(known.state)) return;
        await new Promise<void>((resolve) => {
          this.#wake.push(resolve);
          signal.addEventListener("abort", () => resolve());
        });
      }
    } finally {
      this.watches -= 1;
    }
  }
}

const opened: Documents[] = [];
function make(): Retrieval {
  const retrieval = new Retrieval();
  opened.push(retrieval.documents);
  return retrieval;
}
afterEach(() => {
  for (const documents of opened.splice(0)) documents.clear();
});

/** Waits for something to come true, however slow the machine is. */
const until = (check: () => void) => vi.waitFor(check, { timeout: 30_000, interval: 5 });
vi.setConfig({ testTimeout: 60_000 });

const file = (name: string) => ({ file: new File(["text"], name) });

test("files are named, and belong to the project that is said, or to the one that is shown", async () => {
  const retrieval = make();
  retrieval.documents.narrow("prj_shown");
  const [first] = retrieval.documents.add([file("a.md")]);
  const [second] = retrieval.documents.add([file("b.md")], "");
  expect(retrieval.documents.store.getState().uploads.map(({ key, name }) => [key, name])).toEqual([[second, "b.md"], [first, "a.md"]]);
  await until(() => expect(retrieval.sendings).toHaveLength(1));
  retrieval.arrived(0, job("a", JobState.DONE));
  await until(() => expect(retrieval.sendings).toHaveLength(2));
  expect(retrieval.sendings.map(({ file: sent, project }) => [sent.name, project])).toEqual([["a.md", "prj_shown"], ["b.md", ""]]);
});

test("files are sent one after the other, and each is followed until it is a document", async () => {
  const retrieval = make();
  retrieval.documents.add([file("a.md"), file("b.md")]);
  await until(() => expect(retrieval.sendings).toHaveLength(1));
  retrieval.sendings[0]!.onProgress(0.5);
  expect(retrieval.rows).toEqual([["a.md", 0.5], ["b.md", undefined]]);
  retrieval.arrived(0, job("a", JobState.QUEUED));
  await until(() => expect(retrieval.rows).toEqual([["a.md", "QUEUED"], ["b.md", 0]]));
  retrieval.set(job("a", JobState.RUNNING));
  await until(() => expect(retrieval.rows[0]).toEqual(["a.md", "RUNNING"]));
  retrieval.set(job("a", JobState.DONE));
  await until(() => expect(retrieval.documents.store.getState().documents.map(({ documentId }) => documentId)).toEqual(["doc_a"]));
});

test("two jobs are watched at a time, and the others are asked about", async () => {
  const retrieval = make();
  for (const name of ["a", "b", "c", "d"]) retrieval.set(job(name, JobState.QUEUED, { queuePlace: 1 }));
  await retrieval.documents.open();
  await until(() => expect(retrieval.watches).toBe(2));
  for (const name of ["a", "b", "c", "d"]) retrieval.set(job(name, JobState.DONE));
  await until(() => expect(retrieval.rows.map(([, state]) => state)).toEqual(["DONE", "DONE", "DONE", "DONE"]));
  expect(retrieval.mostWatches).toBe(2);
});

test("a watch that was cut is taken up again", async () => {
  const retrieval = make();
  retrieval.cutWatches = 3;
  retrieval.set(job("a", JobState.RUNNING));
  await retrieval.documents.open();
  await until(() => expect([retrieval.cutWatches, retrieval.watches]).toEqual([0, 1]));
  retrieval.set(job("a", JobState.DONE));
  await until(() => expect(retrieval.rows).toEqual([["a.md", "DONE"]]));
});

test("a file is taken back before it is sent, while it is, and after", async () => {
  const retrieval = make();
  retrieval.documents.add([file("a.md"), file("b.md"), file("c.md")]);
  const key = (name: string) => retrieval.documents.store.getState().uploads.find((upload) => upload.name === name)!.key;
  await retrieval.documents.cancel(key("b.md"));
  await until(() => expect(retrieval.sendings).toHaveLength(1));
  await retrieval.documents.cancel(key("a.md"));
  await until(() => expect(retrieval.sendings).toHaveLength(2));
  expect(retrieval.sendings[0]!.signal.aborted).toBe(true);
  retrieval.arrived(1, job("c", JobState.RUNNING));
  await until(() => expect(retrieval.rows).toEqual([["c.md", "RUNNING"]]));
  await retrieval.documents.cancel(key("c.md"));
  expect(retrieval.rows).toEqual([["c.md", "CANCELLED"]]);
});

test("a file that did not arrive is sent again, and one whose job failed is not", async () => {
  const retrieval = make();
  retrieval.documents.add([file("a.md")]);
  await until(() => expect(retrieval.sendings).toHaveLength(1));
  retrieval.sendings[0]!.fail(new ParleyError({ message: "m", code: Code.Unavailable, connectionLost: true }));
  const upload = () => retrieval.documents.store.getState().uploads[0]!;
  await until(() => expect(upload().error).toBeDefined());
  expect([isOver(upload()), canRetry(upload())]).toEqual([true, true]);
  await retrieval.documents.retry(upload().key);
  await until(() => expect(retrieval.sendings).toHaveLength(2));
  retrieval.arrived(1, job("a", JobState.FAILED, { failure: { message: "no", retryable: true } }));
  await until(() => expect(isOver(upload())).toBe(true));
  expect(canRetry(upload())).toBe(true);
  await retrieval.documents.retry(upload().key);
  expect(retrieval.retried).toEqual(["job_a"]);
  expect(retrieval.sendings).toHaveLength(2);
  retrieval.set(job("a", JobState.FAILED, { failure: { message: "no", retryable: false } }));
  await until(() => expect([isOver(upload()), canRetry(upload())]).toEqual([true, false]));
});

test("what the server would refuse anyway is not sent", () => {
  const retrieval = make();
  const large = new File([], "large.bin");
  Object.defineProperty(large, "size", { value: FILE_BYTES + 1 });
  retrieval.documents.add([{ file: large }, { file: new File([], "folder"), folder: true }]);
  expect(retrieval.documents.store.getState().uploads.map(({ fault }) => fault)).toEqual(["too-large", "folder"]);
  expect(retrieval.sendings).toEqual([]);
});

test("what arrives for a user who is gone is dropped, and the next user's files are sent", async () => {
  const retrieval = make();
  retrieval.documents.add([file("a.md")]);
  await until(() => expect(retrieval.sendings).toHaveLength(1));
  retrieval.documents.clear();
  retrieval.documents.add([file("b.md")]);
  await until(() => expect(retrieval.sendings).toHaveLength(2));
  expect(retrieval.rows).toEqual([["b.md", 0]]);
});

test("a document that is gone already is as good as deleted", async () => {
  const retrieval = make();
  retrieval.set(job("a", JobState.DONE));
  await retrieval.documents.open();
  await retrieval.documents.remove("doc_a");
  expect(retrieval.documents.store.getState().documents).toEqual([]);
});

test("after a reload those jobs are shown that run, or failed a short while ago and were not tried again", () => {
  const now = 1_000_000_000_000;
  const at = (ms: number) => ({ endTime: timestampFromMs(ms) });
  const failed = job("tried", JobState.FAILED, at(now - 5000));
  const jobs = [
    job("runs", JobState.RUNNING),
    job("tried", JobState.DONE, { ...at(now), jobId: "job_new" }),
    failed,
    job("failed", JobState.FAILED, at(now - 1000)),
    job("hidden", JobState.FAILED, at(now - 1000)),
    job("old", JobState.FAILED, at(now - 90_000_000)),
    job("waits", JobState.WAITING_FOR_RETRY),
    job("cancelled", JobState.CANCELLED, at(now)),
  ];
  expect(jobsToShow(jobs, new Set(["job_hidden"]), now).map(({ contentSha256 }) => contentSha256)).toEqual(["runs", "failed", "waits"]);
});
