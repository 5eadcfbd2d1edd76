/** Content from templates: which there are, and what is being written. It goes on while another place is on the screen. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { ContentService, type ContentLength, type ContentTemplate } from "@parley/protos/parley/ai/v1/content_service_pb";
import { FinishReason, type GenerationFailed, type GenerationUsage } from "@parley/protos/parley/ai/v1/text_generation_pb";
import { createStore } from "zustand/vanilla";
import type { OwnTemplate } from "../text/content";
import { oncePerFrame } from "./frames";

export type VariantState = "writing" | "finished" | "stopped" | "failed";

/** One of several texts for the same request. */
export interface Variant {
  readonly text: string;
  readonly state: VariantState;
  readonly model: string;
  /** The built-in model wrote it, because none is configured. */
  readonly offline: boolean;
  /** Another model went on with it. */
  readonly switched: boolean;
  /** The output limit, or a filter, ended it early. */
  readonly reason: FinishReason;
  readonly usage: GenerationUsage | undefined;
  readonly failure: GenerationFailed | undefined;
}

export interface ContentState {
  readonly loaded: boolean;
  readonly templatesError: ParleyError | undefined;
  /** Those that this Parley has. */
  readonly templates: readonly ContentTemplate[];
  /** Those that the user wrote, kept in this browser. */
  readonly own: readonly OwnTemplate[];
  readonly writing: boolean;
  /** What the texts are: the title of their template. */
  readonly title: string;
  readonly variants: readonly Variant[];
  /** Why nothing was written, or the connection ended. */
  readonly error: ParleyError | undefined;
}

/** What a form has of a request. */
export interface ContentFields {
  readonly template: ContentTemplate;
  /** The instructions of a template of the user's own. Empty for one of Parley's. */
  readonly custom: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly tone: string;
  readonly audience: string;
  readonly language: string;
  readonly length: ContentLength;
  readonly variantCount: number;
}

const EMPTY: ContentState = { loaded: false, templatesError: undefined, templates: [], own: [], writing: false, title: "", variants: [], error: undefined };
const NEW: Variant = { text: "", state: "writing", model: "", offline: false, switched: false, reason: FinishReason.UNSPECIFIED, usage: undefined, failure: undefined };
const KEY = "parley.content-templates";
/** How many templates of their own a user keeps. */
export const MOST_OWN = 50;

export class Content {
  readonly store = createStore<ContentState>(() => EMPTY);
  readonly #parley: ParleyClient;
  readonly #service;
  readonly #storage: Pick<Storage, "getItem" | "setItem"> | undefined;
  #writing: AbortController | undefined;
  #owner = {};

  constructor(parley: ParleyClient, storage?: Pick<Storage, "getItem" | "setItem">) {
    this.#parley = parley;
    this.#service = parley.service(ContentService);
    this.#storage = storage;
  }

  async refresh(): Promise<void> {
    const owner = this.#owner;
    this.store.setState({ own: this.#kept() });
    try {
      const { templates } = await this.#service.listContentTemplates({});
      if (owner === this.#owner) this.store.setState({ loaded: true, templatesError: undefined, templates });
    } catch (thrown) {
      if (owner === this.#owner) this.store.setState({ templatesError: toParleyError(thrown) });
    }
  }

  /** Writes; what was being written is stopped. Returns when it has ended, and never throws but for a request that was refused before a word came. */
  async write({ template, custom, fields, ...others }: ContentFields): Promise<void> {
    this.stop();
    const controller = new AbortController();
    this.#writing = controller;
    const variants: Variant[] = Array.from({ length: Math.max(1, others.variantCount) }, () => NEW);
    const soon = oncePerFrame();
    const mine = () => this.#writing === controller;
    const show = () => mine() && this.store.setState({ variants: [...variants] });
    this.store.setState({ writing: true, title: template.title, variants: [...variants], error: undefined });
    let begun = false;
    try {
      const request = { ...(custom ? { customTemplate: custom } : { templateId: template.templateId }), fields: { ...fields }, ...others };
      for await (const { variant, event } of this.#service.streamContent(request, { signal: controller.signal, timeoutMs: 0 })) {
        const known = variants[variant];
        if (!known) continue;
        begun = true;
        if (event.case === "started") variants[variant] = { ...known, model: event.value.model, offline: event.value.offline };
        else if (event.case === "textDelta") variants[variant] = { ...known, text: known.text + event.value };
        else if (event.case === "modelSwitched") variants[variant] = { ...known, model: event.value.toModel, switched: true };
        else if (event.case === "finished") variants[variant] = { ...known, state: "finished", reason: event.value.reason, usage: event.value.usage };
        else if (event.case === "failed") variants[variant] = { ...known, state: "failed", failure: event.value };
        soon(show);
      }
    } catch (thrown) {
      if (!controller.signal.aborted && mine()) {
        const error = toParleyError(thrown);
        if (!begun) {
          this.store.setState({ variants: [] });
          variants.length = 0;
          throw error;
        }
        // When all variants have failed, each says why itself.
        if (variants.some(({ state }) => state === "writing")) this.store.setState({ error });
      }
    } finally {
      variants.forEach((each, index) => {
        if (each.state === "writing") variants[index] = { ...each, state: "stopped" };
      });
      soon.flush();
      show();
      if (mine()) {
        this.#writing = undefined;
        this.store.setState({ writing: false });
      }
    }
  }

  /** Stops what is being written: its models are stopped too. What has come stays. */
  stop(): void {
    this.#writing?.abort();
  }

  /** Keeps a template of the user's own in this browser, in place of the one of its id. False when there is no room for it. */
  keep(template: OwnTemplate): boolean {
    const others = this.store.getState().own.filter(({ id }) => id !== template.id);
    return others.length < MOST_OWN && this.#store([...others, template]);
  }

  /** Forgets a template of the user's own. */
  forget(id: string): void {
    this.#store(this.store.getState().own.filter((template) => template.id !== id));
  }

  /** Forgets everything: another user may sign in. Templates stay in this browser, under their user's id. */
  clear(): void {
    this.#owner = {};
    this.stop();
    this.#writing = undefined;
    this.store.setState(EMPTY, true);
  }

  get #key(): string {
    return `${KEY}.${this.#parley.user?.userId ?? ""}`;
  }

  #store(own: readonly OwnTemplate[]): boolean {
    try {
      this.#storage?.setItem(this.#key, JSON.stringify(own));
    } catch {
      return false;
    }
    this.store.setState({ own });
    return true;
  }

  #kept(): OwnTemplate[] {
    try {
      const kept = JSON.parse(this.#storage?.getItem(this.#key) ?? "[]") as unknown;
      const isOwn = (each: Partial<OwnTemplate> | null) => typeof each?.id === "string" && typeof each.title === "string" && typeof each.text === "string";
      return Array.isArray(kept) ? (kept as (Partial<OwnTemplate> | null)[]).filter(isOwn).slice(0, MOST_OWN) as OwnTemplate[] : [];
    } catch {
      return [];
    }
  }
}
