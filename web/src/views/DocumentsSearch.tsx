/** The search box above the documents, its filters, and the passages that were found, the words of the question marked in them. */
import { create } from "@bufbuild/protobuf";
import { Search, X } from "lucide-react";
import type { ReactNode } from "react";
import { useStore } from "zustand";
import { CitationSchema } from "@parley/protos/parley/chat/v1/message_pb";
import { MediaType } from "@parley/protos/parley/retrieval/v1/document_pb";
import type { SearchHit } from "@parley/protos/parley/retrieval/v1/search_service_pb";
import { Button, IconButton } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { wordsFor } from "../rpc/errors";
import { LONGEST_QUERY } from "../state/documentSearch";
import { documentSearch as store } from "../state/documentSearchOfPage";
import { openDocument } from "../state/reading";
import { headingWithin } from "../text/citations";
import { count } from "../text/figures";
import { kindOf } from "../text/jobs";
import { pieces } from "../text/marked";

const KINDS = [MediaType.PDF, MediaType.DOCX, MediaType.MARKDOWN, MediaType.PLAIN_TEXT, MediaType.HTML, MediaType.CSV, MediaType.JSON];
const TIMES = [
  { days: 0, name: "Any time" },
  { days: 1, name: "Last 24 hours" },
  { days: 7, name: "Last 7 days" },
  { days: 30, name: "Last 30 days" },
  { days: 365, name: "Last year" },
];

/** Whether a search is on the screen, in the place of the list. */
export function useSearching(): boolean {
  return useStore(store.store, ({ query }) => query.trim() !== "");
}

export function DocumentsSearch() {
  const { query, hits, loading, error, nextToken, filters } = useStore(store.store);
  const searching = query.trim() !== "";
  return (
    <search className="mb-5 block">
      <div className="relative">
        <Search className="pointer-events-none absolute top-1/2 left-3.5 size-4 -translate-y-1/2 text-quiet" aria-hidden="true" />
        <input
          type="text"
          aria-label="Search in documents"
          placeholder="Search in your documents"
          value={query}
          maxLength={LONGEST_QUERY}
          onChange={({ target }) => store.type(target.value)}
          onKeyDown={(event) => event.key === "Escape" && store.type("")}
          className="h-11 w-full rounded-xl border border-line-strong bg-raised pr-11 pl-10 text-[0.95rem] outline-none focus:border-accent focus:ring-1 focus:ring-accent"
        />
        {query && (
          <IconButton small label="Clear the search" onClick={() => store.type("")} className="absolute top-2 right-2">
            <X className="size-4" />
          </IconButton>
        )}
      </div>
      {searching && (
        <>
          <div className="mt-2.5 flex flex-wrap items-center gap-x-4 gap-y-2 text-sm">
            <Choice name="Kind" value={filters.kind} onChange={(kind) => store.narrow({ kind })}>
              <option value={MediaType.UNSPECIFIED}>All kinds</option>
              {KINDS.map((kind) => (
                <option key={kind} value={kind}>
                  {kindOf(kind)}
                </option>
              ))}
            </Choice>
            <Choice name="Changed" value={filters.days} onChange={(days) => store.narrow({ days })}>
              {TIMES.map(({ days, name }) => (
                <option key={days} value={days}>
                  {name}
                </option>
              ))}
            </Choice>
            <label className="flex min-h-8 items-center gap-2">
              <input type="checkbox" checked={filters.shared} onChange={({ target }) => store.narrow({ shared: target.checked })} className="size-4 accent-accent" />
              Parley’s own documents too
            </label>
            <p role="status" className="ml-auto text-quiet tabular-nums">
              {hits && !loading ? (hits.length === 0 ? "Nothing found" : `${count(hits.length)}${nextToken ? " and more" : ""} found`) : ""}
            </p>
          </div>
          {error && (
            <div className="mt-4">
              <Notice kind="bad" action={<Button onClick={() => store.again()}>Try again</Button>}>
                {wordsFor(error)}
              </Notice>
            </div>
          )}
          {hits && hits.length > 0 && (
            <ol aria-label="Found passages" aria-busy={loading} className={`mt-3 ${loading ? "opacity-60" : ""}`}>
              {hits.map((hit) => (
                <Hit key={hit.chunkId} hit={hit} />
              ))}
            </ol>
          )}
          {!hits && !error && (
            <div className="mt-4 space-y-3" role="status" aria-label="Searching">
              {["w-3/4", "w-1/2", "w-2/3"].map((width) => (
                <div key={width} className={`h-14 animate-breathe rounded-lg bg-hover ${width}`} />
              ))}
            </div>
          )}
          {hits?.length === 0 && !loading && (
            <p className="mt-4 rounded-2xl border border-dashed border-line-strong px-6 py-10 text-center text-sm text-pretty text-quiet">
              No passage fits “{query.trim()}”. Try other words, or fewer filters.
            </p>
          )}
          {nextToken && (
            <Button className="mt-3 w-full border-transparent bg-transparent text-quiet" disabled={loading} onClick={() => void store.more()}>
              Show more
            </Button>
          )}
        </>
      )}
    </search>
  );
}

function Hit({ hit }: { hit: SearchHit }) {
  const { documentId, documentTitle, heading, text, startOffset, endOffset, chunkId, documentVersion, snippet, highlights, pageNumber, shared } = hit;
  const place = [headingWithin(documentTitle, heading), pageNumber > 0 && `page ${pageNumber}`, shared && "Parley’s own"].filter(Boolean).join(" · ");
  return (
    <li>
      <button
        type="button"
        onClick={({ currentTarget }) =>
          openDocument(create(CitationSchema, { documentId, documentTitle, heading, text, startOffset, endOffset, chunkId, documentVersion }), currentTarget)
        }
        className="w-full rounded-xl px-3 py-3 text-left transition-colors hover:bg-hover"
      >
        <span className="flex items-baseline gap-2">
          <span className="truncate text-sm font-medium">{documentTitle}</span>
          {place && <span className="min-w-0 shrink truncate text-xs text-quiet">{place}</span>}
        </span>
        <span className="mt-1 block text-sm leading-relaxed wrap-anywhere text-quiet" dir="auto">
          {pieces(snippet, highlights).map((piece, index) =>
            piece.marked ? (
              <mark key={index} className="rounded-xs bg-mark px-0.5 text-ink">
                {piece.text}
              </mark>
            ) : (
              // A passage that begins with its heading begins with the marks of one.
              piece.text.replace(index === 0 ? /^#+ / : "", "")
            ),
          )}
        </span>
      </button>
    </li>
  );
}

function Choice({ name, value, onChange, children }: { name: string; value: number; onChange: (value: number) => void; children: ReactNode }) {
  return (
    <label className="flex items-center gap-2">
      <span className="text-quiet">{name}</span>
      <select value={value} onChange={({ target }) => onChange(Number(target.value))} className="h-8 rounded-lg border border-line-strong bg-raised px-2">
        {children}
      </select>
    </label>
  );
}
