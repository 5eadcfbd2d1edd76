/** How Parley and its parts are, in words for a person. */
import type { ParleyError } from "@parley/client";
import { ProviderState } from "@parley/protos/parley/ai/v1/generation_service_pb";
import { IncidentKind, type Incident } from "@parley/protos/parley/system/v1/system_map_pb";
import { ServingState, type GetStatusResponse } from "@parley/protos/parley/system/v1/system_service_pb";

export type Health = "good" | "warn" | "bad" | "unknown";

/** Names of services as the page has them. */
export const SERVICE_NAMES: Record<string, string> = { chat: "Conversations", inference: "Models", retrieval: "Knowledge base" };

export const STATES: Record<ServingState, { words: string; health: Health }> = {
  [ServingState.UNSPECIFIED]: { words: "not known yet", health: "unknown" },
  [ServingState.SERVING]: { words: "answers", health: "good" },
  [ServingState.NOT_SERVING]: { words: "starting or stopping", health: "warn" },
  [ServingState.UNREACHABLE]: { words: "doesn't answer", health: "bad" },
};

export const PROVIDER_STATES: Record<ProviderState, { words: string; health: Health }> = {
  [ProviderState.UNSPECIFIED]: { words: "not asked yet", health: "unknown" },
  [ProviderState.HEALTHY]: { words: "does well", health: "good" },
  [ProviderState.FAILING]: { words: "its last calls failed", health: "warn" },
  [ProviderState.OPEN]: { words: "left alone for a while", health: "bad" },
};

/** How all of it is, in one line. `error`: that of the last question, if it got no answer. */
export function overall(status: GetStatusResponse | undefined, error: ParleyError | undefined): { words: string; health: Health } {
  if (error) return { words: "Parley can't be reached", health: "bad" };
  if (!status) return { words: "Asking how Parley is…", health: "unknown" };
  if (status.state !== ServingState.SERVING) return { words: "Parley can't answer right now", health: STATES[status.state].health };
  if (status.services.some(({ state }) => state !== ServingState.SERVING)) return { words: "Answers come without the knowledge base", health: "warn" };
  if (status.providers.some(({ state }) => state === ProviderState.OPEN)) return { words: "A provider of models is left alone for a while", health: "warn" };
  return { words: "Everything works", health: "good" };
}

/** " · 12 %", of some that there are; nothing where there are none. */
export function share(part: bigint, whole: bigint): string {
  if (part === 0n || whole === 0n) return "";
  const percent = (100 * Number(part)) / Number(whole);
  return ` · ${percent >= 1 ? Math.round(percent) : "<1"} %`;
}

/** What went wrong with an answer of somebody's. */
export function incidentWords({ kind, model, nextModel }: Pick<Incident, "kind" | "model" | "nextModel">): string {
  switch (kind) {
    case IncidentKind.MODEL_SWITCHED:
      return `${model || "A model"} failed and ${nextModel || "another one"} went on`;
    case IncidentKind.WITHOUT_CONTEXT:
      return "An answer was written without the documents";
    case IncidentKind.ANSWER_WAITS:
      return "No model could be reached, and an answer waits for one";
    default:
      return model ? `An answer by ${model} failed` : "An answer failed before a model began";
  }
}

/** Where the operator's trace backend shows a trace; undefined where there is none, or what is told is no address. */
export function traceUrl(template: string | undefined, traceId: string): string | undefined {
  if (!template || !/^https?:\/\//.test(template) || !/^[0-9a-f]{32}$/.test(traceId)) return undefined;
  return template.replaceAll("{trace_id}", traceId);
}
