/** How far a file is on its way into the documents, in words and as a part of the whole. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { JobStage, JobState, type Job, type StageProgress } from "@parley/protos/parley/retrieval/v1/job_pb";
import { MediaType } from "@parley/protos/parley/retrieval/v1/document_pb";
import { count } from "./figures";

const STAGES: Partial<Record<JobStage, string>> = {
  [JobStage.RECEIVED]: "Received",
  [JobStage.PARSED]: "Reading",
  [JobStage.CHUNKED]: "Cutting into passages",
  [JobStage.EMBEDDED]: "Learning what it means",
  [JobStage.INDEXED]: "Making it searchable",
  [JobStage.DONE]: "Saving",
};
const UNITS: Readonly<Record<string, string>> = { pages: "pages", chunks: "passages" };

/** Whether nothing happens any more unless the user says so. */
export function hasEnded({ state }: Job): boolean {
  return state === JobState.DONE || state === JobState.FAILED || state === JobState.CANCELLED;
}

/** One line for a job that did not fail: Waiting, 2 files before it. Reading: 3 of 12 pages. Added. */
export function wordsForJob(job: Job): string {
  switch (job.state) {
    case JobState.DONE:
      return "Added";
    case JobState.CANCELLED:
      return "Cancelled";
    case JobState.WAITING_FOR_RETRY: {
      const again = job.nextAttemptTime && timestampDate(job.nextAttemptTime).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
      return again ? `Tries again by itself at ${again}` : "Tries again by itself";
    }
    case JobState.RUNNING:
      return stageWords(current(job));
    default: {
      const before = job.queuePlace - 1;
      return before > 0 ? `Waiting, ${count(before)} ${before === 1 ? "file" : "files"} before it` : "Waiting";
    }
  }
}

/** How much of a job is done, from 0 to 1: its stages, and of the one that runs as much as it tells. */
export function partOf(job: Job): number {
  if (job.state === JobState.DONE) return 1;
  const running = current(job);
  const within = running && running.stage > job.stage && running.total > 0n ? Number(running.done) / Number(running.total) : 0;
  return Math.min(1, (job.stage + Math.min(1, within)) / JobStage.DONE);
}

function current({ stages }: Job): StageProgress | undefined {
  return stages.find(({ endTime }) => !endTime) ?? stages.at(-1);
}

function stageWords(progress: StageProgress | undefined): string {
  const words = (progress && STAGES[progress.stage]) ?? "Working";
  const unit = progress && UNITS[progress.unit];
  return unit && progress.total > 0n ? `${words}: ${count(Number(progress.done))} of ${count(Number(progress.total))} ${unit}` : words;
}

const KINDS: Partial<Record<MediaType, string>> = {
  [MediaType.MARKDOWN]: "Markdown",
  [MediaType.PLAIN_TEXT]: "Text",
  [MediaType.HTML]: "Web page",
  [MediaType.PDF]: "PDF",
  [MediaType.DOCX]: "Word",
  [MediaType.CSV]: "CSV",
  [MediaType.JSON]: "JSON",
};

/** What a document is, in a word. */
export function kindOf(mediaType: MediaType): string {
  return KINDS[mediaType] ?? "Document";
}
