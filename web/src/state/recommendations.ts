/** What is recommended to a person from the user's catalog, and what they did with it. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { InteractionKind, RecommendationService, type Recommendation, type SimilarItem } from "@parley/protos/parley/retrieval/v1/recommendation_service_pb";
import { createStore } from "zustand/vanilla";
import type { ItemFields } from "../text/catalog";

export interface RecommendationsState {
  readonly loaded: boolean;
  readonly loading: boolean;
  readonly error: ParleyError | undefined;
  /** For whom: the product's own id of them. */
  readonly person: string;
  /** Whether what they did something with is recommended too. */
  readonly seen: boolean;
  /** How different from each other the items are to be, 0 to 1. */
  readonly diversity: number;
  readonly items: readonly Recommendation[];
  readonly isNew: boolean;
  /** What was done here since the list was asked for, by item. */
  readonly done: ReadonlyMap<string, InteractionKind>;
  /** How many items of how many are put into the catalog. Undefined when none are. */
  readonly adding: { readonly done: number; readonly of: number } | undefined;
}

const EMPTY: RecommendationsState = {
  loaded: false,
  loading: false,
  error: undefined,
  person: "me",
  seen: false,
  diversity: 0.3,
  items: [],
  isNew: false,
  done: new Map(),
  adding: undefined,
};
const LIMIT = 24;
/** Items of one call, and their characters: below what the server and the edge take. */
const ITEMS_A_CALL = 100;
const CHARACTERS_A_CALL = 500_000;
const PUT_MS = 120_000;

export class Recommendations {
  readonly store = createStore<RecommendationsState>(() => EMPTY);
  readonly #service;
  #asked = 0;
  #owner = {};

  constructor(parley: ParleyClient) {
    this.#service = parley.service(RecommendationService);
  }

  async refresh(): Promise<void> {
    const asked = (this.#asked += 1);
    const { person, seen, diversity } = this.store.getState();
    this.store.setState({ loading: true });
    try {
      const answer = await this.#service.listRecommendations({ personId: person, limit: LIMIT, includeSeen: seen, diversity });
      if (asked !== this.#asked) return;
      this.store.setState({ loaded: true, loading: false, error: undefined, items: answer.recommendations, isNew: answer.isNewPerson, done: new Map() });
    } catch (thrown) {
      if (asked === this.#asked) this.store.setState({ loading: false, error: toParleyError(thrown) });
    }
  }

  /** Looks at another person's, or at others of theirs. */
  choose(choice: Partial<Pick<RecommendationsState, "person" | "seen" | "diversity">>): void {
    this.store.setState({ ...choice, ...(choice.person === undefined ? {} : { loaded: false, items: [] }) });
    void this.refresh();
  }

  /** Records what the person did with an item. It shows at once, and is taken back when it could not be recorded. Throws ParleyError. */
  async record(itemId: string, kind: InteractionKind): Promise<void> {
    const { person, done } = this.store.getState();
    const before = done.get(itemId);
    if (before === kind) return;
    const owner = this.#owner;
    this.#mark(itemId, kind);
    try {
      await this.#service.recordInteractions({ interactions: [{ personId: person, itemId, kind, interactionId: crypto.getRandomValues(new Uint32Array(4)).join("-") }] });
    } catch (thrown) {
      if (owner === this.#owner) this.#mark(itemId, before);
      throw toParleyError(thrown);
    }
  }

  /** The items that are most like one. Throws ParleyError. */
  async similar(itemId: string): Promise<SimilarItem[]> {
    return (await this.#service.listSimilarItems({ itemId, limit: 4 })).items;
  }

  /** Puts items into the catalog, in as many calls as they need. Throws ParleyError; those of the calls before are in the catalog then. */
  async put(items: readonly ItemFields[]): Promise<void> {
    const owner = this.#owner;
    let done = 0;
    try {
      for (const part of partsOf(items)) {
        if (owner !== this.#owner) return;
        this.store.setState({ adding: { done, of: items.length } });
        await this.#service.putCatalogItems({ items: part.map((item) => ({ ...item })) }, { timeoutMs: PUT_MS });
        done += part.length;
      }
    } finally {
      if (owner === this.#owner) {
        this.store.setState({ adding: undefined });
        await this.refresh();
      }
    }
  }

  /** Takes an item out of the catalog, with all that was done with it. Throws ParleyError. */
  async remove(itemId: string): Promise<void> {
    await this.#service.deleteCatalogItems({ itemIds: [itemId] });
    await this.refresh();
  }

  /** Forgets all that the person did. Returns how much it was. Throws ParleyError. */
  async forget(): Promise<number> {
    const { deletedCount } = await this.#service.deletePerson({ personId: this.store.getState().person });
    await this.refresh();
    return deletedCount;
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    this.#owner = {};
    this.#asked += 1;
    this.store.setState(EMPTY, true);
  }

  #mark(itemId: string, kind: InteractionKind | undefined): void {
    const done = new Map(this.store.getState().done);
    if (kind === undefined) done.delete(itemId);
    else done.set(itemId, kind);
    this.store.setState({ done });
  }
}

/** Items in pieces that one call takes. */
function* partsOf(items: readonly ItemFields[]): Generator<ItemFields[]> {
  let part: ItemFields[] = [];
  let characters = 0;
  for (const item of items) {
    const size = item.itemId.length + item.title.length + item.text.length + item.category.length;
    if (part.length > 0 && (part.length === ITEMS_A_CALL || characters + size > CHARACTERS_A_CALL)) {
      yield part;
      part = [];
      characters = 0;
    }
    part.push(item);
    characters += size;
  }
  if (part.length > 0) yield part;
}
