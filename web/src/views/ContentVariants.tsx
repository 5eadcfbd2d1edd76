/** What is written from a template, as it comes: a card for each version. */
import { Download, FilePlus2 } from "lucide-react";
import { useStore } from "zustand";
import { FinishReason } from "@parley/protos/parley/ai/v1/text_generation_pb";
import { CopyButton, IconButton } from "../parts/buttons";
import { MarkdownLater } from "../parts/MarkdownLater";
import { Notice } from "../parts/Notice";
import { saveFile } from "../parts/saveFile";
import { wordsFor, wordsForGeneration } from "../rpc/errors";
import { documents, tell } from "../state/app";
import type { Variant } from "../state/content";
import { content as store } from "../state/contentOfPage";
import { textFileName, wordCount } from "../text/content";
import { count, dollars, duration } from "../text/figures";

export function ContentVariants() {
  const { variants, title, writing, error } = useStore(store.store);
  const done = variants.filter(({ state }) => state === "finished").length;
  return (
    <section aria-label="What was written" className="mt-6">
      {/* Told when it begins and ends, and not with every word. */}
      <p className="sr-only" role="status">
        {writing ? "Writing" : variants.length > 0 ? `${done} of ${variants.length} written` : ""}
      </p>
      {error && (
        <div className="mb-3">
          <Notice kind="lost" urgent>
            {wordsFor(error)} What had been written is kept.
          </Notice>
        </div>
      )}
      <div className={variants.length > 1 ? "grid grid-cols-1 items-start gap-4 lg:grid-cols-2" : ""}>
        {variants.map((variant, index) => (
          <Card key={index} variant={variant} title={title} name={variants.length > 1 ? `Version ${index + 1}` : title} />
        ))}
      </div>
    </section>
  );
}

function Card({ variant, title, name }: { variant: Variant; title: string; name: string }) {
  const { text, state, usage, model, offline, switched, reason, failure } = variant;
  const facts = [
    `${count(wordCount(text))} words`,
    offline ? "the offline model" : model,
    usage && usage.timeToFirstTokenMs > 0 && `first word after ${duration(usage.timeToFirstTokenMs)}`,
    usage && `${count(usage.inputTokens + usage.outputTokens)} tokens`,
    usage?.costUsdMicros !== undefined && dollars(usage.costUsdMicros),
    switched && "another model went on with it",
  ].filter(Boolean);
  return (
    <article aria-label={name} aria-busy={state === "writing"} className="min-w-0 rounded-2xl border border-line bg-raised p-4">
      <header className="mb-2 flex min-h-7 items-center gap-1">
        <h2 className="min-w-0 flex-1 truncate text-xs font-medium text-quiet">{state === "writing" ? `${name}, being written…` : name}</h2>
        {text && state !== "writing" && (
          <>
            <CopyButton label={`Copy ${name}`} text={() => text} />
            <IconButton small label={`Download ${name}`} onClick={() => saveFile(textFileName(text, title), "text/markdown;charset=utf-8", text)}>
              <Download className="size-4" />
            </IconButton>
            <IconButton
              small
              label={`Add ${name} to the documents`}
              onClick={() => {
                documents.add([{ file: new File([text], textFileName(text, title), { type: "text/markdown" }) }]);
                tell("It is being added to your documents.");
              }}
            >
              <FilePlus2 className="size-4" />
            </IconButton>
          </>
        )}
      </header>
      {text ? <MarkdownLater text={text} writing={state === "writing"} /> : state === "writing" && <div className="h-16 animate-breathe rounded-lg bg-hover" aria-hidden="true" />}
      {state === "stopped" && <p className="mt-2 text-sm text-quiet">{text ? "Stopped here." : "Stopped before a word came."}</p>}
      {reason === FinishReason.LENGTH && <p className="mt-2 text-sm text-quiet">It reached the model's limit and ends early.</p>}
      {reason === FinishReason.CONTENT_FILTER && <p className="mt-2 text-sm text-quiet">The provider's filter ended it early.</p>}
      {failure && (
        <div className="mt-2">
          <Notice kind="bad">{wordsForGeneration(failure)}</Notice>
        </div>
      )}
      {state === "finished" && <p className="mt-3 text-xs text-quiet tabular-nums">{facts.join(" · ")}</p>}
    </article>
  );
}
