/**
 * The user's documents, and the files that are on their way to become some.
 *
 * Files are sent one after the other. A browser has few connections to one host, so two jobs at most are watched at a time; how the others are
 * is asked for every few seconds, which is also how a lost watch is taken up again. All of it goes on while another place is on the screen.
 */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Document } from "@parley/protos/parley/retrieval/v1/document_pb";
import { IngestService, type IngestResponse } from "@parley/protos/parley/retrieval/v1/ingest_service_pb";
import { JobState, type Job } from "@parley/protos/parley/retrieval/v1/job_pb";
import { createStore } from "zustand/vanilla";
import { isMissing, mayHelpToRepeat, type FileFault } from "../rpc/errors";
import { sendFile, type Sending } from "../rpc/upload";
import { hasEnded } from "../text/jobs";

/** A file on its way. It has a job from when it has arrived. */
export interface Upload {
  /** Names it in the page. */
  readonly key: string;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** How much was sent, from 0 to 1. Undefined while it waits for its turn. */
  readonly sent?: number | undefined;
  readonly job?: Job | undefined;
  /** The user had it already. */
  readonly duplicate?: boolean;
  /** Why it was not sent at all. */
  readonly fault?: FileFault;
  /** Why it did not arrive, or could not be cancelled or begun again. */
  readonly error?: ParleyError | undefined;
  readonly cancelling?: boolean;
}

export interface DocumentsState {
  /** The loaded documents, last changed first. */
  readonly documents: readonly Document[];
  readonly loaded: boolean;
  readonly loading: boolean;
  readonly error: ParleyError | undefined;
  /** Asks for more. Empty when there are none. */
  readonly nextToken: string;
  /** The newest first. */
  readonly uploads: readonly Upload[];
}

const EMPTY: DocumentsState = { documents: [], loaded: false, loading: false, error: undefined, nextToken: "", uploads: [] };

/** The largest file that the server takes. */
export const FILE_BYTES = 100_000_000;
const PAGE_SIZE = 50;
const WATCHED = 2;
const ASK_EVERY_MS = 3_000;
const ASK_LATEST_MS = 30_000;
/** How long a job that failed is shown again after a reload. */
const FAILED_SHOWN_MS = 86_400_000;
const HIDDEN_KEY = "parley.hidden-jobs";
const HIDDEN_KEPT = 200;

/** Sends the bytes of a file: for tests, another than the browser's. */
export type Send = (sending: Sending) => Promise<IngestResponse>;

export class Documents {
  readonly store = createStore<DocumentsState>(() => EMPTY);
  readonly #parley: ParleyClient;
  readonly #send: Send;
  readonly #askEveryMs: number;
  /** The bytes of what has not arrived, by key. */
  readonly #files = new Map<string, { file: File; project: string }>();
  readonly #watching = new Map<string, AbortController>();
  #sending: { key: string; controller: AbortController } | undefined;
  #askTimer: ReturnType<typeof setTimeout> | undefined;
  #failedAsks = 0;
  #count = 0;
  /** Another number for another user: what was asked for one is not shown to the next. */
  #owner = 0;
  /** The project that the list is narrowed to. Empty for all. */
  #project = "";

  constructor(parley: ParleyClient, { send, askEveryMs = ASK_EVERY_MS }: { send?: Send; askEveryMs?: number } = {}) {
    this.#parley = parley;
    this.#send = send ?? ((sending) => sendFile(parley.tokens, sending));
    this.#askEveryMs = askEveryMs;
  }

  get #ingest() {
    return this.#parley.service(IngestService);
  }

  /** Shows the documents of one project, or all; what is added belongs to it. */
  narrow(project: string): void {
    if (project === this.#project) return;
    this.#project = project;
    const { loaded, loading } = this.store.getState();
    this.store.setState({ documents: [], nextToken: "", loaded: false, error: undefined });
    if (loaded || loading) void this.refresh();
  }

  /** Loads the newest page and takes up the jobs that run. */
  async open(): Promise<void> {
    await Promise.all([this.refresh(), this.#ask(true)]);
  }

  /** Loads the newest page, and forgets what was loaded beyond it. */
  async refresh(): Promise<void> {
    const owner = this.#owner;
    this.store.setState({ loading: true });
    try {
      const project = this.#project;
      const page = await this.#parley.documents.listDocuments({ pageSize: PAGE_SIZE, project });
      if (owner !== this.#owner || project !== this.#project) return;
      this.store.setState({ documents: page.documents, nextToken: page.nextPageToken, loaded: true, loading: false, error: undefined });
    } catch (thrown) {
      if (owner === this.#owner) this.store.setState({ loading: false, error: toParleyError(thrown) });
    }
  }

  async loadMore(): Promise<void> {
    const owner = this.#owner;
    const { nextToken, loading } = this.store.getState();
    if (!nextToken || loading) return;
    this.store.setState({ loading: true });
    try {
      const project = this.#project;
      const page = await this.#parley.documents.listDocuments({ pageSize: PAGE_SIZE, pageToken: nextToken, project });
      if (owner !== this.#owner || project !== this.#project) return;
      const { documents } = this.store.getState();
      const known = new Set(documents.map(({ documentId }) => documentId));
      this.store.setState({
        documents: [...documents, ...page.documents.filter(({ documentId }) => !known.has(documentId))],
        nextToken: page.nextPageToken,
        loading: false,
        error: undefined,
      });
    } catch (thrown) {
      if (owner === this.#owner) this.store.setState({ loading: false, error: toParleyError(thrown) });
    }
  }

  /** Deletes a document. Throws ParleyError when the server refuses; one that is gone already is as good as deleted. */
  async remove(documentId: string): Promise<void> {
    try {
      await this.#parley.documents.deleteDocument({ documentId });
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown;
    }
    const { documents, uploads } = this.store.getState();
    this.store.setState({
      documents: documents.filter((document) => document.documentId !== documentId),
      uploads: uploads.filter(({ job }) => job?.documentId !== documentId),
    });
  }

  /**
   * Takes files to be sent, in their order, and names them. Those that the server would refuse anyway get a row that says so.
   *
   * @param project the project that they are to belong to; the one that the list is narrowed to when absent, and none when empty.
   */
  add(files: readonly { file: File; folder?: boolean }[], project = this.#project): string[] {
    const added = files.map(({ file, folder }): Upload => {
      const upload = { key: `upload-${(this.#count += 1)}`, name: file.name, size: file.size };
      if (folder) return { ...upload, fault: "folder" };
      if (file.size > FILE_BYTES) return { ...upload, fault: "too-large" };
      this.#files.set(upload.key, { file, project });
      return upload;
    });
    // The newest stand above; those of one go keep their order.
    this.store.setState({ uploads: [...added, ...this.store.getState().uploads] });
    void this.#sendNext();
    return added.map(({ key }) => key);
  }

  /** Takes a file back: before it is sent, while it is, or its job. */
  async cancel(key: string): Promise<void> {
    const upload = this.#find(key);
    if (!upload) return;
    if (!upload.job) {
      if (this.#sending?.key === key) this.#sending.controller.abort(new Error("Cancelled."));
      return this.hide(key);
    }
    await this.#act(key, upload.job, (jobId) => this.#ingest.cancelJob({ jobId }));
  }

  /** Begins again what failed: the sending, or the job. */
  async retry(key: string): Promise<void> {
    const upload = this.#find(key);
    if (!upload) return;
    if (upload.job) return this.#act(key, upload.job, (jobId) => this.#ingest.retryJob({ jobId }));
    this.#change(key, { error: undefined, sent: undefined });
    void this.#sendNext();
  }

  /** Takes a row off the screen for good. */
  hide(key: string): void {
    const jobId = this.#find(key)?.job?.jobId;
    if (jobId) rememberHidden(jobId);
    this.#files.delete(key);
    this.store.setState({ uploads: this.store.getState().uploads.filter((upload) => upload.key !== key) });
  }

  /** Takes all rows off the screen with which nothing happens any more. */
  hideEnded(): void {
    for (const upload of this.store.getState().uploads) if (isOver(upload)) this.hide(upload.key);
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    this.#owner += 1;
    clearTimeout(this.#askTimer);
    this.#askTimer = undefined;
    const gone = new Error("Closed.");
    this.#sending?.controller.abort(gone);
    this.#sending = undefined;
    for (const controller of this.#watching.values()) controller.abort(gone);
    this.#watching.clear();
    this.#files.clear();
    this.store.setState(EMPTY, true);
  }

  async #sendNext(): Promise<void> {
    if (this.#sending) return;
    const next = this.store.getState().uploads.find(({ key, error }) => this.#files.has(key) && !error);
    const wanted = next && this.#files.get(next.key);
    if (!wanted) return;
    const { key } = next;
    const sending = { key, controller: new AbortController() };
    this.#sending = sending;
    this.#change(key, { sent: 0 });
    try {
      const { job, duplicate } = await this.#send({
        ...wanted,
        signal: sending.controller.signal,
        onProgress: (sent) => this.#change(key, { sent }),
      });
      if (sending !== this.#sending) return;
      this.#files.delete(key);
      this.#change(key, { sent: 1, job, duplicate });
      if (job) this.#apply(job);
      if (duplicate) void this.refresh();
    } catch (thrown) {
      if (!sending.controller.signal.aborted) this.#change(key, { error: toParleyError(thrown) });
    }
    // Otherwise another user has signed in meanwhile.
    if (sending !== this.#sending) return;
    this.#sending = undefined;
    this.#follow();
    void this.#sendNext();
  }

  /** Cancels or begins a job again, and shows how it is then. */
  async #act(key: string, { jobId, state }: Job, call: (jobId: string) => Promise<{ job?: Job | undefined }>): Promise<void> {
    this.#change(key, { error: undefined, cancelling: state !== JobState.FAILED && state !== JobState.CANCELLED });
    try {
      const { job } = await call(jobId);
      this.#change(key, { cancelling: false });
      if (job) this.#apply(job);
    } catch (thrown) {
      this.#change(key, { cancelling: false, error: toParleyError(thrown) });
    }
    this.#follow();
  }

  /** Watches the first jobs that run, and asks for the others later. */
  #follow(): void {
    const running = this.#running();
    for (const { jobId, state } of running) {
      if (this.#watching.size >= WATCHED) break;
      // One that tries again in some minutes would hold a connection for nothing.
      if (state !== JobState.WAITING_FOR_RETRY && !this.#watching.has(jobId)) void this.#watch(jobId);
    }
    if (running.some(({ jobId }) => !this.#watching.has(jobId))) this.#askLater();
  }

  #running(): Job[] {
    const jobs = this.store.getState().uploads.flatMap(({ job }) => (job && !hasEnded(job) ? [job] : []));
    const first = (job: Job) => (job.state === JobState.RUNNING ? 0 : job.queuePlace + 1);
    return [...new Map(jobs.map((job) => [job.jobId, job])).values()].sort((a, b) => first(a) - first(b));
  }

  async #watch(jobId: string): Promise<void> {
    const controller = new AbortController();
    this.#watching.set(jobId, controller);
    let lost = false;
    try {
      for await (const { job } of this.#ingest.watchJob({ jobId }, { signal: controller.signal })) {
        if (!job) continue;
        this.#apply(job);
        if (job.state === JobState.WAITING_FOR_RETRY) break;
      }
    } catch (thrown) {
      lost = true;
      if (!controller.signal.aborted && isMissing(thrown)) this.#drop(jobId);
    }
    // Otherwise another user has signed in meanwhile.
    if (this.#watching.get(jobId) !== controller) return;
    controller.abort();
    this.#watching.delete(jobId);
    if (lost) this.#askLater();
    else this.#follow();
  }

  #askLater(): void {
    const wait = Math.min(ASK_LATEST_MS, this.#askEveryMs * 2 ** this.#failedAsks);
    this.#askTimer ??= setTimeout(() => void this.#ask(false), wait);
  }

  /** Asks how the jobs are. `adopting` also shows those that this page has not sent: begun before a reload, or in another window. */
  async #ask(adopting: boolean): Promise<void> {
    clearTimeout(this.#askTimer);
    this.#askTimer = undefined;
    const owner = this.#owner;
    try {
      const { jobs } = await this.#ingest.listJobs({ pageSize: 100 });
      if (owner !== this.#owner) return;
      this.#failedAsks = 0;
      for (const job of jobs) this.#apply(job);
      if (adopting) this.#adopt(jobs);
    } catch {
      if (owner !== this.#owner) return;
      // Asked again while rows wait for it. What there is to tell, the list of documents tells.
      this.#failedAsks += 1;
      if (this.#running().length > 0) this.#askLater();
      return;
    }
    this.#follow();
  }

  #adopt(jobs: readonly Job[]): void {
    const { uploads } = this.store.getState();
    const known = new Set(uploads.flatMap(({ job }) => (job ? [job.jobId] : [])));
    const shown = jobsToShow(jobs, hiddenJobs(), Date.now()).filter(({ jobId }) => !known.has(jobId));
    const adopted = shown.map((job): Upload => ({ key: job.jobId, name: job.filename || job.title, size: Number(job.sizeBytes), sent: 1, job }));
    this.store.setState({ uploads: [...uploads, ...adopted] });
  }

  /** Shows how a job is, wherever it has a row. */
  #apply(job: Job): void {
    const { uploads } = this.store.getState();
    const of = uploads.filter((upload) => upload.job?.jobId === job.jobId && isNewer(job, upload.job));
    if (of.length === 0) return;
    const added = job.state === JobState.DONE && of.some((upload) => upload.job && !hasEnded(upload.job));
    this.store.setState({ uploads: uploads.map((upload) => (of.includes(upload) ? { ...upload, job } : upload)) });
    if (added) void this.refresh();
  }

  /** A job that is gone, with the document that it made, say. */
  #drop(jobId: string): void {
    this.store.setState({ uploads: this.store.getState().uploads.filter(({ job }) => job?.jobId !== jobId) });
  }

  #find(key: string): Upload | undefined {
    return this.store.getState().uploads.find((upload) => upload.key === key);
  }

  #change(key: string, change: Partial<Upload>): void {
    this.store.setState({ uploads: this.store.getState().uploads.map((upload) => (upload.key === key ? { ...upload, ...change } : upload)) });
  }
}

/** Whether nothing happens with a file any more unless the user says so. */
export function isOver({ fault, error, job }: Upload): boolean {
  return fault !== undefined || (job ? hasEnded(job) : error !== undefined);
}

/** Whether the same file may succeed when it is begun again. */
export function canRetry({ fault, error, job }: Upload): boolean {
  if (fault) return false;
  if (!job) return error !== undefined && mayHelpToRepeat(error);
  return job.state === JobState.CANCELLED || (job.state === JobState.FAILED && job.failure?.retryable === true);
}

/**
 * Of the user's jobs, newest first, those worth a row after a reload: all that run, and those that failed in the last day, unless the row was
 * hidden or the same file was sent again since.
 */
export function jobsToShow(jobs: readonly Job[], hidden: ReadonlySet<string>, now: number): Job[] {
  const seen = new Set<string>();
  return jobs.filter((job) => {
    const newest = !seen.has(job.contentSha256);
    seen.add(job.contentSha256);
    if (!hasEnded(job)) return true;
    const ended = job.endTime ? timestampMs(job.endTime) : 0;
    return newest && job.state === JobState.FAILED && now - ended < FAILED_SHOWN_MS && !hidden.has(job.jobId);
  });
}

/** A watch and an answer to a question can overtake each other. */
function isNewer(job: Job, than: Job): boolean {
  const time = ({ updateTime }: Job) => (updateTime ? updateTime.seconds * 1_000_000_000n + BigInt(updateTime.nanos) : 0n);
  return time(job) >= time(than);
}

function hiddenJobs(): Set<string> {
  try {
    return new Set(JSON.parse(localStorage.getItem(HIDDEN_KEY) ?? "[]") as string[]);
  } catch {
    // Storage is blocked or damaged: then nothing is hidden.
    return new Set();
  }
}

function rememberHidden(jobId: string): void {
  try {
    localStorage.setItem(HIDDEN_KEY, JSON.stringify([...hiddenJobs().add(jobId)].slice(-HIDDEN_KEPT)));
  } catch {
    // Storage is blocked: the row is back after a reload.
  }
}
