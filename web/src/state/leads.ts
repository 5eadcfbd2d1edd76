/** The user's models that score leads: trained on rows that have ended, and asked about others. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { ScoringService, type ColumnKind, type LeadScore, type ScoringModel } from "@parley/protos/parley/inference/v1/scoring_service_pb";
import { createStore } from "zustand/vanilla";

/** What a form has of a training. */
export interface TrainingFields {
  readonly name: string;
  readonly csv: string;
  readonly labelColumn: string;
  readonly positiveLabel: string;
  readonly columnKinds: Readonly<Record<string, ColumnKind>>;
}

export interface LeadsState {
  readonly loaded: boolean;
  readonly error: ParleyError | undefined;
  /** The newest version of each, by name. */
  readonly models: readonly ScoringModel[];
  /** The training that runs. */
  readonly training: { readonly name: string; readonly since: number } | undefined;
}

const EMPTY: LeadsState = { loaded: false, error: undefined, models: [], training: undefined };
/** How long a training is waited for: longer than the server lets one take, with its queue. */
const TRAINING_MS = 900_000;
const SCORING_MS = 120_000;
/** Rows and characters of one call: below what the server and the edge take. */
const ROWS_A_CALL = 500;
const CHARACTERS_A_CALL = 1_000_000;

export class Leads {
  readonly store = createStore<LeadsState>(() => EMPTY);
  readonly #service;
  #training: AbortController | undefined;
  #owner = {};

  constructor(parley: ParleyClient) {
    this.#service = parley.service(ScoringService);
  }

  async refresh(): Promise<void> {
    const owner = this.#owner;
    try {
      const { models } = await this.#service.listScoringModels({});
      if (owner === this.#owner) this.store.setState({ loaded: true, error: undefined, models });
    } catch (thrown) {
      if (owner === this.#owner) this.store.setState({ error: toParleyError(thrown) });
    }
  }

  /** Trains a model. It goes on while another place is on the screen. Undefined when it was cancelled. Throws ParleyError. */
  async train(fields: TrainingFields): Promise<ScoringModel | undefined> {
    const owner = this.#owner;
    const controller = new AbortController();
    this.#training = controller;
    this.store.setState({ training: { name: fields.name, since: Date.now() } });
    try {
      const { model } = await this.#service.trainScoringModel(
        { ...fields, columnKinds: { ...fields.columnKinds } },
        { signal: controller.signal, timeoutMs: TRAINING_MS },
      );
      if (owner !== this.#owner || !model) return undefined;
      const others = this.store.getState().models.filter(({ name }) => name !== model.name);
      this.store.setState({ models: [...others, model].sort((one, other) => (one.name < other.name ? -1 : 1)) });
      return model;
    } catch (thrown) {
      if (controller.signal.aborted) return undefined;
      throw toParleyError(thrown);
    } finally {
      if (this.#training === controller) {
        this.#training = undefined;
        this.store.setState({ training: undefined });
      }
    }
  }

  /** Ends the training that runs: the server ends it too. */
  cancel(): void {
    this.#training?.abort();
  }

  /** A version of a model. Throws ParleyError. */
  async version(name: string, version: number): Promise<ScoringModel | undefined> {
    return (await this.#service.getScoringModel({ name, version })).model;
  }

  /** Deletes all versions of a model. Throws ParleyError. */
  async remove(name: string): Promise<void> {
    await this.#service.deleteScoringModel({ name });
    this.store.setState({ models: this.store.getState().models.filter((model) => model.name !== name) });
  }

  /**
   * Scores rows, in as many calls as they need.
   * @param onProgress told how many are scored. Throws ParleyError; the signal's reason when it was aborted.
   */
  async score(
    { name, version }: Pick<ScoringModel, "name" | "version">,
    rows: readonly Record<string, string>[],
    { contributions = 8, onProgress, signal }: { contributions?: number; onProgress?: (done: number) => void; signal?: AbortSignal } = {},
  ): Promise<LeadScore[]> {
    const scores: LeadScore[] = [];
    for (const part of partsOf(rows)) {
      signal?.throwIfAborted();
      const options = { timeoutMs: SCORING_MS, ...(signal ? { signal } : {}) };
      const answer = await this.#service.scoreLeads({ name, version, rows: part, contributionLimit: contributions }, options);
      scores.push(...answer.scores);
      onProgress?.(scores.length);
    }
    return scores;
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    this.#owner = {};
    this.cancel();
    this.store.setState(EMPTY, true);
  }
}

/** Rows in pieces that one call takes. */
export function* partsOf(rows: readonly Record<string, string>[]): Generator<Record<string, string>[]> {
  let part: Record<string, string>[] = [];
  let characters = 0;
  for (const row of rows) {
    const size = Object.entries(row).reduce((sum, [name, value]) => sum + name.length + value.length + 8, 0);
    if (part.length > 0 && (part.length === ROWS_A_CALL || characters + size > CHARACTERS_A_CALL)) {
      yield part;
      part = [];
      characters = 0;
    }
    part.push(row);
    characters += size;
  }
  if (part.length > 0) yield part;
}
