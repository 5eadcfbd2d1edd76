/** Search in the user's documents: passages, best first, narrowed by kind, time and whose they are. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { MediaType } from "@parley/protos/parley/retrieval/v1/document_pb";
import { SearchService, type SearchHit, type SearchRequestSchema } from "@parley/protos/parley/retrieval/v1/search_service_pb";
import { createStore } from "zustand/vanilla";

/** What a search is narrowed by. */
export interface SearchFilters {
  /** UNSPECIFIED for all kinds. */
  readonly kind: MediaType;
  /** Changed in so many days. 0 for ever. */
  readonly days: number;
  /** Whether Parley's own documents are searched too. */
  readonly shared: boolean;
}

export interface DocumentSearchState {
  readonly query: string;
  readonly filters: SearchFilters;
  /** What was found, best first. Absent until there is an answer, and without a question. */
  readonly hits: readonly SearchHit[] | undefined;
  readonly loading: boolean;
  readonly error: ParleyError | undefined;
  /** Asks for more. Empty when there are none. */
  readonly nextToken: string;
}

export const NO_FILTERS: SearchFilters = { kind: MediaType.UNSPECIFIED, days: 0, shared: false };
const EMPTY: DocumentSearchState = { query: "", filters: NO_FILTERS, hits: undefined, loading: false, error: undefined, nextToken: "" };
const PAGE_SIZE = 20;
/** The longest question that the server takes. */
export const LONGEST_QUERY = 2_000;
/** How long after the last letter is asked. */
const SOON_MS = 250;
const DAY_MS = 86_400_000;

export class DocumentSearch {
  readonly store = createStore<DocumentSearchState>(() => EMPTY);
  readonly #service;
  readonly #project: () => string;
  readonly #soonMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: AbortController | undefined;
  /** The request of what is shown: its next page is asked for with the same. */
  #shown: MessageInitShape<typeof SearchRequestSchema> | undefined;

  /** `project`: the one that the page is narrowed to, empty for everything. */
  constructor(parley: ParleyClient, project: () => string, soonMs = SOON_MS) {
    this.#service = parley.service(SearchService);
    this.#project = project;
    this.#soonMs = soonMs;
  }

  /** Asks, a moment after the last letter. What was found before stays on the screen until then. */
  type(query: string): void {
    this.store.setState({ query });
    this.#soon(this.#soonMs);
  }

  /** Asks with other filters, at once. */
  narrow(filters: Partial<SearchFilters>): void {
    this.store.setState({ filters: { ...this.store.getState().filters, ...filters } });
    this.#soon(0);
  }

  /** Asks once more: documents, or the project, have changed. */
  again(): void {
    this.#soon(0);
  }

  async more(): Promise<void> {
    const { nextToken, loading, hits } = this.store.getState();
    if (!nextToken || loading || !this.#shown) return;
    await this.#ask({ ...this.#shown, pageToken: nextToken }, hits ?? []);
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    this.#stop();
    this.#shown = undefined;
    this.store.setState(EMPTY, true);
  }

  #soon(wait: number): void {
    this.#stop();
    const query = this.store.getState().query.trim();
    if (query === "") {
      this.store.setState({ hits: undefined, loading: false, error: undefined, nextToken: "" });
      return;
    }
    this.store.setState({ loading: true });
    this.#timer = setTimeout(() => void this.#first(query), wait);
  }

  async #first(query: string): Promise<void> {
    const { kind, days, shared } = this.store.getState().filters;
    this.#shown = {
      query,
      limit: PAGE_SIZE,
      project: this.#project(),
      excludeShared: !shared,
      mediaTypes: kind === MediaType.UNSPECIFIED ? [] : [kind],
      ...(days > 0 ? { updateTimeFrom: timestampFromMs(Date.now() - days * DAY_MS) } : {}),
    };
    await this.#ask(this.#shown, []);
  }

  async #ask(request: MessageInitShape<typeof SearchRequestSchema>, before: readonly SearchHit[]): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    this.store.setState({ loading: true });
    try {
      const { hits, nextPageToken } = await this.#service.search(request, { signal: asking.signal });
      if (asking === this.#asking) this.store.setState({ hits: [...before, ...hits], nextToken: nextPageToken, loading: false, error: undefined });
    } catch (thrown) {
      // Another question has been asked meanwhile.
      if (asking === this.#asking) this.store.setState({ hits: before.length > 0 ? before : undefined, loading: false, error: toParleyError(thrown) });
    }
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#asking?.abort(new Error("Another question."));
    this.#asking = undefined;
  }
}
