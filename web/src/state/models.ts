/** The models that a message may name, and the one that the user chose for theirs. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { GenerationService, ModelCapability, type AvailableModel } from "@parley/protos/parley/ai/v1/generation_service_pb";
import { createStore } from "zustand/vanilla";

export interface ModelsState {
  /** Those that write text, the default first. Undefined until they are known. */
  readonly models: readonly AvailableModel[] | undefined;
  readonly error: ParleyError | undefined;
  /** What messages name. Empty: the route decides. */
  readonly chosen: string;
}

const KEY = "parley.model";

export class Models {
  readonly store;
  readonly #parley: ParleyClient;
  readonly #storage: Pick<Storage, "getItem" | "setItem"> | undefined;

  /** @param storage where the choice is kept, in this browser. */
  constructor(parley: ParleyClient, storage?: Pick<Storage, "getItem" | "setItem">) {
    this.#parley = parley;
    this.#storage = storage;
    this.store = createStore<ModelsState>(() => ({ models: undefined, error: undefined, chosen: this.#kept() }));
  }

  get chosen(): string {
    return this.store.getState().chosen;
  }

  /** Asks which there are. A choice that is no longer among them is given up. */
  async ask(): Promise<void> {
    try {
      const { models } = await this.#parley.service(GenerationService).listAvailableModels({});
      const writers = models.filter(({ capabilities }) => capabilities.includes(ModelCapability.GENERATE));
      this.store.setState({ models: writers, error: undefined });
      const { chosen } = this.store.getState();
      if (chosen && !writers.some(({ model, aliases }) => model === chosen || aliases.includes(chosen))) this.choose("");
    } catch (thrown) {
      this.store.setState({ error: toParleyError(thrown) });
    }
  }

  /** Has further messages name a model; none when empty. */
  choose(model: string): void {
    this.store.setState({ chosen: model });
    try {
      this.#storage?.setItem(KEY, model);
    } catch {
      // Storage is full: the choice lasts until the page is closed.
    }
  }

  /** Forgets what is another user's to choose. */
  clear(): void {
    this.store.setState({ models: undefined, error: undefined });
    this.choose("");
  }

  #kept(): string {
    try {
      return this.#storage?.getItem(KEY) ?? "";
    } catch {
      return "";
    }
  }
}
