/** The user's documents: what there is, what is found in it, and the way to add files, by button or by dropping them. */
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { FileText, Plus, Trash2, Upload as UploadIcon } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useStore } from "zustand";
import { CitationSchema } from "@parley/protos/parley/chat/v1/message_pb";
import type { Document } from "@parley/protos/parley/retrieval/v1/document_pb";
import { Button, IconButton } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { Notice } from "../parts/Notice";
import { wordsFor } from "../rpc/errors";
import { documents as store, tell } from "../state/app";
import { closeDocument, openDocument, reading } from "../state/reading";
import { count, moment } from "../text/figures";
import { kindOf } from "../text/jobs";
import { DocumentsSearch, useSearching } from "./DocumentsSearch";
import { DocumentsUploads } from "./DocumentsUploads";
import { useProjectTitle } from "./projectTitle";

export function Documents() {
  const { documents, loaded, loading, error, nextToken, uploads } = useStore(store.store);
  const input = useRef<HTMLInputElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const over = useDroppedFiles();
  const searching = useSearching();
  useEffect(() => void store.open(), []);
  return (
    <div className="relative min-h-0 flex-1">
      <div className="h-full overflow-y-auto">
        <div className="mx-auto w-full max-w-3xl px-4 pt-4 pb-12 sm:px-6">
          <div className="mb-6 flex flex-wrap items-center gap-3">
            <h1 ref={heading} tabIndex={-1} className="min-w-40 flex-1 font-serif text-[1.9rem] leading-tight tracking-[-0.015em] outline-none">
              Documents
            </h1>
            <Button look="accent" onClick={() => input.current?.click()}>
              <Plus className="size-4" aria-hidden="true" />
              Add files
            </Button>
            <input
              ref={input}
              type="file"
              multiple
              aria-label="Files to add"
              tabIndex={-1}
              className="sr-only"
              onChange={(event) => {
                store.add(Array.from(event.target.files ?? [], (file) => ({ file })));
                // The same file chosen once more is a change too.
                event.target.value = "";
              }}
            />
            <p className="w-full text-sm text-pretty text-quiet">
              Your answers are looked up in them, and only you see them. PDF, Word, Markdown, plain text, web pages, CSV and JSON, up to 100 MB each.
            </p>
          </div>
          <DocumentsUploads uploads={uploads} />
          {(documents.length > 0 || searching) && <DocumentsSearch />}
          {error && (
            <div className="mb-4">
              <Notice kind="bad" action={<Button onClick={() => void store.refresh()}>Try again</Button>}>
                {wordsFor(error)}
              </Notice>
            </div>
          )}
          {searching ? null : documents.length > 0 ? (
            <ul aria-label="Your documents">
              {documents.map((document) => (
                <Row key={document.documentId} document={document} onDeleted={() => heading.current?.focus()} />
              ))}
            </ul>
          ) : loaded ? (
            <Empty onAdd={() => input.current?.click()} />
          ) : (
            !error && <Loading />
          )}
          {nextToken && !searching && (
            <Button className="mt-3 w-full border-transparent bg-transparent text-quiet" disabled={loading} onClick={() => void store.loadMore()}>
              Show more
            </Button>
          )}
        </div>
      </div>
      {over && (
        <div className="pointer-events-none absolute inset-2 z-30 grid place-items-center rounded-2xl border-2 border-dashed border-accent bg-accent-soft/90" aria-hidden="true">
          <span className="flex items-center gap-3 text-lg font-medium text-accent">
            <UploadIcon className="size-6" />
            Drop files to add them
          </span>
        </div>
      )}
    </div>
  );
}

function Row({ document: shown, onDeleted }: { document: Document; onDeleted: () => void }) {
  const [deleting, setDeleting] = useState(false);
  const { documentId, title, mediaType, pageCount, updateTime } = shown;
  const project = useProjectTitle(shown.project);
  const facts = [
    kindOf(mediaType),
    pageCount > 0 && `${count(pageCount)} ${pageCount === 1 ? "page" : "pages"}`,
    project,
    updateTime && moment(timestampDate(updateTime), new Date()),
  ].filter(Boolean);
  return (
    <li className="group/row flex items-center gap-1 rounded-xl pr-2 transition-colors hover:bg-hover">
      <button
        type="button"
        onClick={(event) => openDocument(create(CitationSchema, { documentId, documentTitle: title }), event.currentTarget)}
        className="flex min-w-0 flex-1 items-center gap-3 rounded-xl py-2.5 pl-3 text-left"
      >
        <FileText className="size-5 shrink-0 text-quiet" aria-hidden="true" />
        <span className="min-w-0 flex-1">
          <span className="block truncate text-sm font-medium" title={title}>
            {title}
          </span>
          <span className="block truncate text-xs text-quiet">{facts.join(" · ")}</span>
        </span>
      </button>
      <IconButton small label={`Delete ${title}`} onClick={() => setDeleting(true)}>
        <Trash2 className="size-4" />
      </IconButton>
      {deleting && (
        <Confirm
          title="Delete this document?"
          yes="Delete"
          onClose={() => setDeleting(false)}
          onYes={() => {
            store
              .remove(documentId)
              .then(() => {
                if (reading.getState().citation?.documentId === documentId) closeDocument();
                onDeleted();
              })
              .catch((error: unknown) => tell(wordsFor(error)));
          }}
        >
          “{title}” will be gone for good, and no new answer will come from it.
        </Confirm>
      )}
    </li>
  );
}

function Empty({ onAdd }: { onAdd: () => void }) {
  return (
    <div className="grid justify-items-center rounded-2xl border border-dashed border-line-strong px-6 py-12 text-center">
      <UploadIcon className="size-7 text-quiet" aria-hidden="true" />
      <h2 className="mt-3 font-medium">No documents yet</h2>
      <p className="mt-1 max-w-sm text-sm text-pretty text-quiet">
        Drop files anywhere here, or choose them. Then ask about what is in them, and see the passage that each answer comes from.
      </p>
      <Button className="mt-4" onClick={onAdd}>
        Choose files
      </Button>
    </div>
  );
}

function Loading() {
  return (
    <div className="space-y-3 py-2" role="status" aria-label="Loading">
      {[70, 52, 61].map((width) => (
        <div key={width} className="h-9 animate-breathe rounded-lg bg-hover" style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}

/** Takes files that are dropped anywhere in the window, and tells whether some are held over it. */
function useDroppedFiles(): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const holdsFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const onOver = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      // Without this the browser would leave the page and open the file.
      event.preventDefault();
      setOver(true);
    };
    // Leaving one element for another is not leaving the window.
    const onLeave = (event: DragEvent) => event.relatedTarget === null && setOver(false);
    const onDrop = (event: DragEvent) => {
      setOver(false);
      if (!holdsFiles(event)) return;
      event.preventDefault();
      store.add(
        Array.from(event.dataTransfer?.items ?? []).flatMap((item) => {
          const file = item.getAsFile();
          return file ? [{ file, folder: item.webkitGetAsEntry()?.isDirectory ?? false }] : [];
        }),
      );
    };
    addEventListener("dragover", onOver);
    addEventListener("dragleave", onLeave);
    addEventListener("drop", onDrop);
    return () => {
      removeEventListener("dragover", onOver);
      removeEventListener("dragleave", onLeave);
      removeEventListener("drop", onDrop);
    };
  }, []);
  return over;
}
