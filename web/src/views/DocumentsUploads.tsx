/** The files that are on their way to become documents, each with a row that says how far it is. */
import { Ban, CircleAlert, CircleCheck, FileUp, X } from "lucide-react";
import { JobState } from "@parley/protos/parley/retrieval/v1/job_pb";
import { Button, IconButton } from "../parts/buttons";
import { wordsForFile, wordsForJobFailure, wordsForUpload } from "../rpc/errors";
import { documents } from "../state/app";
import { canRetry, isOver, type Upload } from "../state/documents";
import { bytes, count } from "../text/figures";
import { partOf, wordsForJob } from "../text/jobs";

export function DocumentsUploads({ uploads }: { uploads: readonly Upload[] }) {
  return (
    <>
      {/* Told when a file is through or not, and not with every byte of it. */}
      <p className="sr-only" role="status">
        {summary(uploads)}
      </p>
      {uploads.length > 0 && (
        <section aria-labelledby="uploads-title" className="mb-8">
          <div className="mb-1 flex min-h-9 items-center gap-3">
            <h2 id="uploads-title" className="flex-1 text-sm font-medium text-quiet">
              Being added
            </h2>
            {uploads.some(isOver) && (
              <Button className="-mr-3.5 border-transparent bg-transparent text-quiet" onClick={() => documents.hideEnded()}>
                Clear finished
              </Button>
            )}
          </div>
          <ul aria-label="Being added" className="divide-y divide-line rounded-2xl border border-line bg-raised">
            {uploads.map((upload) => (
              <Row key={upload.key} upload={upload} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function Row({ upload }: { upload: Upload }) {
  const { key, name, size } = upload;
  const { words, look } = tellUpload(upload);
  const { Icon, colour } = LOOKS[look];
  const over = isOver(upload);
  const part = partDone(upload);
  return (
    <li className="flex items-start gap-3 px-4 py-3">
      <Icon className={`mt-0.5 size-5 shrink-0 ${colour}`} aria-hidden="true" />
      <div className="min-w-0 flex-1">
        <div className="flex items-baseline gap-2">
          <span className="truncate text-sm font-medium" title={name}>
            {name || "File without a name"}
          </span>
          {size > 0 && <span className="shrink-0 text-xs text-quiet tabular-nums">{bytes(size)}</span>}
        </div>
        <p className={`text-sm text-pretty ${look === "bad" ? "text-bad" : "text-quiet"}`}>{words}</p>
        {!over && (
          <progress
            aria-label={`Progress of ${name}`}
            max={1}
            value={part}
            className="mt-2 block h-1.5 w-full appearance-none overflow-hidden rounded-full bg-line [&::-moz-progress-bar]:rounded-full [&::-moz-progress-bar]:bg-accent [&::-webkit-progress-bar]:bg-line [&::-webkit-progress-value]:rounded-full [&::-webkit-progress-value]:bg-accent [&::-webkit-progress-value]:transition-[inline-size]"
          />
        )}
        {over && canRetry(upload) && (
          <Button className="mt-2" aria-label={`Try again: ${name}`} onClick={() => void documents.retry(key)}>
            Try again
          </Button>
        )}
      </div>
      {over ? (
        <IconButton small label={`Hide ${name}`} onClick={() => documents.hide(key)}>
          <X className="size-4" />
        </IconButton>
      ) : (
        <IconButton small label={`Cancel ${name}`} disabled={upload.cancelling} onClick={() => void documents.cancel(key)}>
          <X className="size-4" />
        </IconButton>
      )}
    </li>
  );
}

const LOOKS = {
  running: { Icon: FileUp, colour: "text-accent" },
  good: { Icon: CircleCheck, colour: "text-good" },
  bad: { Icon: CircleAlert, colour: "text-bad" },
  off: { Icon: Ban, colour: "text-quiet" },
};

function tellUpload(upload: Upload): { words: string; look: keyof typeof LOOKS } {
  const { fault, error, job, sent, size, duplicate, cancelling } = upload;
  if (fault) return { words: wordsForFile(fault), look: "bad" };
  if (error) return { words: wordsForUpload(error), look: "bad" };
  if (cancelling) return { words: "Cancelling…", look: "running" };
  if (!job) {
    if (sent === undefined) return { words: "Waiting to be sent", look: "running" };
    return { words: `Sending: ${bytes(Math.round(sent * size))} of ${bytes(size)}`, look: "running" };
  }
  switch (job.state) {
    case JobState.FAILED:
      return { words: wordsForJobFailure(job.failure), look: "bad" };
    case JobState.WAITING_FOR_RETRY:
      return { words: job.failure ? `${wordsForJobFailure(job.failure)} ${wordsForJob(job)}.` : wordsForJob(job), look: "running" };
    case JobState.DONE:
      return { words: duplicate ? "You had this file already" : wordsForJob(job), look: "good" };
    default:
      return { words: wordsForJob(job), look: job.state === JobState.CANCELLED ? "off" : "running" };
  }
}

/** Sending is the first half of the way, the job the second. */
function partDone({ sent = 0, job }: Upload): number {
  return job ? 0.5 + partOf(job) / 2 : sent / 2;
}

function summary(uploads: readonly Upload[]): string {
  const told = uploads.map((upload) => ({ name: upload.name, over: isOver(upload), ...tellUpload(upload) }));
  const running = told.filter(({ over }) => !over).length;
  const added = told.filter(({ over, look }) => over && look === "good").length;
  const failed = told.filter(({ over, look }) => over && look === "bad");
  return [
    running && `${count(running)} ${running === 1 ? "file is" : "files are"} being added.`,
    added && `${count(added)} added.`,
    ...failed.map(({ name, words }) => `${name} failed: ${words}`),
  ]
    .filter(Boolean)
    .join(" ");
}
