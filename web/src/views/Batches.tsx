/** Many prompts at once: sent as lines, followed while they are written, and read as a file. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Ban, Download, Layers, Play, Plus, Trash2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useStore } from "zustand";
import { BatchState, type Batch } from "@parley/protos/parley/chat/v1/batch_pb";
import { Button, IconButton } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { Notice } from "../parts/Notice";
import { PanelTitle } from "../parts/PanelTitle";
import { saveFile } from "../parts/saveFile";
import { wordsFor } from "../rpc/errors";
import { tell } from "../state/app";
import { batches as store } from "../state/batchesOfPage";
import { hasEnded, progressWords, STATE_NAMES } from "../text/batches";
import { count, dollars, moment } from "../text/figures";
import { BatchForm } from "./BatchForm";

export function Batches() {
  const { loaded, error, batches } = useStore(store.store);
  const [adding, setAdding] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => store.watch(), []);
  const close = () => {
    setAdding(false);
    heading.current?.focus();
  };
  return (
    <>
      <PanelTitle
        ref={heading}
        title="Batches"
        beside={
          !adding && (
            <Button look="accent" onClick={() => setAdding(true)}>
              <Plus className="size-4" aria-hidden="true" />
              New batch
            </Button>
          )
        }
      >
        Many prompts at once. They are written while nobody waits, also when this page is closed.
      </PanelTitle>
      {adding && (
        <div className="mb-6">
          <BatchForm onClose={close} />
        </div>
      )}
      {error && (
        <div className="mb-4">
          <Notice kind="bad" action={<Button onClick={() => void store.refresh()}>Try again</Button>}>
            {wordsFor(error)}
          </Notice>
        </div>
      )}
      {!loaded && !error && <div className="h-28 animate-breathe rounded-2xl bg-hover" role="status" aria-label="Loading" />}
      {loaded && batches.length === 0 && !adding && (
        <div className="grid justify-items-center rounded-2xl border border-dashed border-line-strong px-6 py-12 text-center">
          <Layers className="size-7 text-quiet" aria-hidden="true" />
          <h2 className="mt-3 font-medium">No batches yet</h2>
          <p className="mt-1 max-w-sm text-sm text-pretty text-quiet">Write one prompt on each line, or choose a file of them, and fetch the results when they are there.</p>
        </div>
      )}
      <ul aria-label="Your batches" className="space-y-3">
        {batches.map((batch) => (
          <Row key={batch.batchId} batch={batch} onGone={() => heading.current?.focus()} />
        ))}
      </ul>
    </>
  );
}

function Row({ batch, onGone }: { batch: Batch; onGone: () => void }) {
  const [deleting, setDeleting] = useState(false);
  const { batchId, state, totalCount, completedCount, failedCount, cancelledCount, createTime, inputTokens, outputTokens, costUsdMicros, unpricedCount, pauseMessage } = batch;
  const title = batch.title || "Batch";
  const ended = completedCount + failedCount + cancelledCount;
  const attempt = (work: Promise<void>) => {
    work.catch((thrown: unknown) => tell(wordsFor(thrown)));
  };
  const facts = [
    createTime && moment(timestampDate(createTime), new Date()),
    `${count(Number(inputTokens + outputTokens))} tokens`,
    `${dollars(costUsdMicros)}${unpricedCount > 0 ? "+" : ""}`,
  ].filter(Boolean);
  return (
    <li className="rounded-2xl border border-line bg-raised px-4 py-3">
      <div className="flex flex-wrap items-start gap-2">
        <div className="min-w-40 flex-1">
          <h2 className="text-sm font-medium break-words">{title}</h2>
          <p className="text-xs text-quiet tabular-nums">{facts.join(" · ")}</p>
        </div>
        <div className="-mr-1.5 flex items-center gap-1">
          {state === BatchState.PAUSED && (
            <Button onClick={() => attempt(store.goOn(batchId))}>
              <Play className="size-4" aria-hidden="true" />
              Go on
            </Button>
          )}
          {ended > 0 && (
            <IconButton
              small
              label={`Results of ${title}`}
              onClick={() => attempt(store.results(batchId).then((results) => saveFile(`${batchId}.jsonl`, "application/jsonl", results)))}
            >
              <Download className="size-4" />
            </IconButton>
          )}
          {!hasEnded(batch) && (
            <IconButton small label={`Cancel ${title}`} onClick={() => attempt(store.cancel(batchId))}>
              <Ban className="size-4" />
            </IconButton>
          )}
          <IconButton small label={`Delete ${title}`} onClick={() => setDeleting(true)}>
            <Trash2 className="size-4" />
          </IconButton>
        </div>
      </div>
      <div
        role="progressbar"
        aria-label={`Progress of ${title}`}
        aria-valuemin={0}
        aria-valuemax={totalCount}
        aria-valuenow={ended}
        aria-valuetext={progressWords(batch)}
        className="mt-2 flex h-2 overflow-hidden rounded-full bg-hover"
      >
        <span className="bg-good" style={{ width: `${(100 * completedCount) / totalCount}%` }} />
        <span className="bg-bad" style={{ width: `${(100 * failedCount) / totalCount}%` }} />
      </div>
      <p className="mt-1 text-xs text-quiet tabular-nums">
        {STATE_NAMES[state]}: {progressWords(batch)}
      </p>
      {state === BatchState.PAUSED && pauseMessage && (
        <div className="mt-2">
          <Notice kind="warn">{pauseMessage}</Notice>
        </div>
      )}
      {deleting && (
        <Confirm title="Delete this batch?" yes="Delete" onClose={() => setDeleting(false)} onYes={() => attempt(store.remove(batchId).then(onGone))}>
          “{title}” will be gone for good, with its results{hasEnded(batch) ? "" : ", and what is being written for it is stopped"}.
        </Confirm>
      )}
    </li>
  );
}
