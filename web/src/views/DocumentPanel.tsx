/** The document that a citation comes from, at the passage. Beside the conversation where there is room, over it where there is not. */
import { X } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Citation } from "@parley/protos/parley/chat/v1/message_pb";
import { MediaType, type Document } from "@parley/protos/parley/retrieval/v1/document_pb";
import { IconButton } from "../parts/buttons";
import { MarkdownBlock } from "../parts/Markdown";
import { Notice } from "../parts/Notice";
import { Sheet } from "../parts/Sheet";
import { isMissing, wordsFor } from "../rpc/errors";
import { parley } from "../rpc/parley";
import { closeDocument } from "../state/reading";
import { markPassage, type MarkedBlock } from "../text/blocks";
import { headingWithin } from "../text/citations";
import { utf16Index } from "../text/codePoints";

/** Texts of these kinds are not written in Markdown: their lines stay as they are. */
const PLAIN: ReadonlySet<MediaType> = new Set([MediaType.PLAIN_TEXT, MediaType.PDF, MediaType.CSV, MediaType.JSON]);
/** Longer ones are shown as they are written, because drawing them takes seconds. In UTF-16 units. */
const LONGEST_MARKDOWN = 200_000;
/** Of longer texts the server sends the beginning. */
const LONGEST_TEXT = 1_000_000;

/** A citation without a passage opens the document at its beginning. */
export function DocumentPanel({ citation, opener }: { citation: Citation; opener: HTMLElement | undefined }) {
  const { document: found, error } = useDocument(citation.documentId);
  const place = headingWithin(citation.documentTitle, citation.heading);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus();
    const onKey = (event: KeyboardEvent) => {
      // A menu or a card over the panel takes the key first.
      if (event.key === "Escape" && !event.defaultPrevented) closeDocument();
    };
    addEventListener("keydown", onKey);
    return () => {
      removeEventListener("keydown", onKey);
      opener?.focus({ preventScroll: true });
    };
  }, [citation, opener]);
  return (
    <Sheet
      wide="(min-width: 1280px)"
      label={`Document: ${citation.documentTitle}`}
      beside="flex w-[min(36rem,40vw)] flex-col border-l border-line bg-raised"
      over="m-0 ml-auto w-[min(42rem,100vw)] flex-col bg-raised open:flex"
      onClose={closeDocument}
    >
      <header className="flex min-h-14 items-center gap-2 border-b border-line py-2 pr-2 pl-5">
        <div className="min-w-0 flex-1">
          <h2 ref={heading} tabIndex={-1} className="truncate font-semibold outline-none">{found?.title ?? citation.documentTitle}</h2>
          {place && <p className="truncate text-xs text-quiet">{place}</p>}
        </div>
        <IconButton label="Close document" onClick={closeDocument}>
          <X className="size-5" />
        </IconButton>
      </header>
      {error ? (
        <div className="p-5">
          <Notice kind="bad">{isMissing(error) ? "This document has been deleted since." : wordsFor(error)}</Notice>
        </div>
      ) : found ? (
        <DocumentText found={found} citation={citation} />
      ) : (
        <div className="space-y-3 p-5" aria-label="Loading">
          {[92, 80, 96, 64].map((width) => (
            <div key={width} className="h-4 animate-breathe rounded bg-hover" style={{ width: `${width}%` }} />
          ))}
        </div>
      )}
    </Sheet>
  );
}

function DocumentText({ found, citation }: { found: Document; citation: Citation }) {
  const { from, to } = useMemo(() => locate(found.text, citation), [found.text, citation]);
  const parts = useMemo(() => (found.text.length > LONGEST_MARKDOWN ? [] : markPassage(found.text, from, to)), [found.text, from, to]);
  const passage = useRef<HTMLDivElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const top = passage.current?.offsetTop;
    if (top !== undefined) scroller.current?.scrollTo({ top: top - 72 });
  }, [parts, from]);

  return (
    <div ref={scroller} className="relative min-h-0 flex-1 overflow-y-auto px-5 py-5" tabIndex={0} role="group" aria-label="Text of the document">
      {citation.text && from === to && (
        <div className="mb-4">
          <Notice kind="warn">The document has changed since this answer; the passage is no longer in it.</Notice>
        </div>
      )}
      {found.text.length >= LONGEST_TEXT && (
        <div className="mb-4">
          <Notice>This is the beginning of the document. Answers are looked up in all of it.</Notice>
        </div>
      )}
      {PLAIN.has(found.mediaType) || found.text.length > LONGEST_MARKDOWN ? (
        <div className="whitespace-pre-wrap">
          {found.text.slice(0, from)}
          <span ref={passage} />
          <mark className="rounded bg-mark text-ink">{found.text.slice(from, to)}</mark>
          {found.text.slice(to)}
        </div>
      ) : (
        <div className="markdown text-[0.94rem]">
          {runs(parts).map((run) => (
            <div
              key={run[0]?.start}
              ref={run[0]?.marked ? passage : undefined}
              data-passage={run[0]?.marked || undefined}
              className={`markdown ${run[0]?.marked ? "-mx-3 rounded-lg bg-mark px-3 py-2" : ""}`}
            >
              {run.map((part) => (
                <MarkdownBlock key={part.start} text={part.text} />
              ))}
            </div>
          ))}
        </div>
      )}
    </div>
  );
}

/** Neighbours that are all marked, or all not, together. */
function runs(parts: readonly MarkedBlock[]): MarkedBlock[][] {
  const together: MarkedBlock[][] = [];
  for (const part of parts) {
    const last = together.at(-1);
    if (last?.[0]?.marked === part.marked) last.push(part);
    else together.push([part]);
  }
  return together;
}

/** Where the passage stands in the document as it is now, in UTF-16 indices. An empty range when it is no longer there. */
function locate(text: string, citation: Citation): { from: number; to: number } {
  const from = utf16Index(text, citation.startOffset);
  const to = utf16Index(text, citation.endOffset);
  if (text.slice(from, to) === citation.text) return { from, to };
  const moved = text.indexOf(citation.text);
  return moved < 0 ? { from: 0, to: 0 } : { from: moved, to: moved + citation.text.length };
}

function useDocument(documentId: string) {
  const [state, setState] = useState<{ documentId: string; document?: Document; error?: unknown }>({ documentId });
  useEffect(() => {
    const controller = new AbortController();
    parley.documents
      .getDocument({ documentId }, { signal: controller.signal })
      .then(({ document }) => setState(document ? { documentId, document } : { documentId }))
      .catch((error: unknown) => {
        if (!controller.signal.aborted) setState({ documentId, error });
      });
    return () => controller.abort();
  }, [documentId]);
  return state.documentId === documentId ? state : { documentId };
}
