/** The user's batches: sent, followed while somebody looks, and their results. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import type { Batch } from "@parley/protos/parley/chat/v1/batch_pb";
import { BatchService, type CreateBatchResponse } from "@parley/protos/parley/chat/v1/batch_service_pb";
import { createStore } from "zustand/vanilla";
import { sendBatch, type BatchNames } from "../rpc/batches";
import { hasEnded } from "../text/batches";

export interface BatchesState {
  readonly loaded: boolean;
  readonly error: ParleyError | undefined;
  /** The newest first: all that a user keeps. */
  readonly batches: readonly Batch[];
}

const EMPTY: BatchesState = { loaded: false, error: undefined, batches: [] };
const PAGE_SIZE = 100;
/** How often is asked while one is being written, and after a failure, milliseconds. */
const ASK_EVERY_MS = 1_500;
const ASK_AGAIN_MS = 10_000;

/** Sends the lines of a batch: for tests, another than the browser's. */
export type Send = (lines: Blob, names: BatchNames) => Promise<CreateBatchResponse>;

export class Batches {
  readonly store = createStore<BatchesState>(() => EMPTY);
  readonly #service;
  readonly #send: Send;
  readonly #askEveryMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watchers = 0;
  #asked = 0;

  constructor(parley: ParleyClient, { send, askEveryMs = ASK_EVERY_MS }: { send?: Send; askEveryMs?: number } = {}) {
    this.#service = parley.service(BatchService);
    this.#send = send ?? ((lines, names) => sendBatch(parley.tokens, lines, names));
    this.#askEveryMs = askEveryMs;
  }

  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    const asked = (this.#asked += 1);
    try {
      const { batches } = await this.#service.listBatches({ pageSize: PAGE_SIZE });
      if (asked !== this.#asked) return;
      this.store.setState({ loaded: true, error: undefined, batches });
      if (batches.some((batch) => !hasEnded(batch))) this.#askIn(this.#askEveryMs);
    } catch (thrown) {
      if (asked !== this.#asked) return;
      this.store.setState({ error: toParleyError(thrown) });
      this.#askIn(ASK_AGAIN_MS);
    }
  }

  /** Keeps them up to date while somebody looks. Returns what ends it. */
  watch(): () => void {
    this.#watchers += 1;
    void this.refresh();
    return () => {
      this.#watchers -= 1;
      if (this.#watchers === 0) clearTimeout(this.#timer);
    };
  }

  /** Sends lines of JSON. Throws ParleyError, which names the lines at fault. */
  async add(lines: Blob, names: BatchNames): Promise<void> {
    await this.#send(lines, names);
    await this.refresh();
  }

  /** Throws ParleyError. */
  async cancel(batchId: string): Promise<void> {
    await this.#service.cancelBatch({ batchId });
    await this.refresh();
  }

  /** Goes on with a batch that is paused. Throws ParleyError. */
  async goOn(batchId: string): Promise<void> {
    await this.#service.continueBatch({ batchId });
    await this.refresh();
  }

  /** Throws ParleyError. */
  async remove(batchId: string): Promise<void> {
    await this.#service.deleteBatch({ batchId });
    await this.refresh();
  }

  /** The results until now, as JSONL. Throws ParleyError. */
  async results(batchId: string): Promise<Blob> {
    const parts: BlobPart[] = [];
    for await (const { results } of this.#service.getBatchResults({ batchId }, { timeoutMs: 0 })) {
      if (results) parts.push(results.data as BlobPart);
    }
    return new Blob(parts, { type: "application/jsonl" });
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#asked += 1;
    this.store.setState(EMPTY, true);
  }

  #askIn(milliseconds: number): void {
    if (this.#watchers > 0) this.#timer = setTimeout(() => void this.refresh(), milliseconds);
  }
}
