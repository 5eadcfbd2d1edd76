/** How the next message is answered: by which route, and by which model. */
import { Check, ChevronDown } from "lucide-react";
import { useStore } from "zustand";
import type { AvailableModel } from "@parley/protos/parley/ai/v1/generation_service_pb";
import { Route } from "@parley/protos/parley/chat/v1/message_pb";
import { Menu, MenuChoice, MenuChoices, MenuLabel, MenuLine } from "../parts/Menu";
import { wordsFor } from "../rpc/errors";
import { models as store } from "../state/app";
import { dollars, roughly } from "../text/figures";
import { ROUTE_NAMES } from "./Figures";

const ROUTES: readonly { route: Route; about: string }[] = [
  { route: Route.AUTOMATIC, about: "Parley chooses, and says why" },
  { route: Route.STANDARD, about: "The fast model, without search" },
  { route: Route.ENHANCED, about: "Searches the knowledge base, strong model" },
];

/** Stands for no model: a menu's choice needs a name. */
const BY_ROUTE = " ";

export function AnswerMenu({ route, onRoute }: { route: Route; onRoute: (route: Route) => void }) {
  const { models, error, chosen } = useStore(store.store);
  const ask = () => {
    if (!models || error) void store.ask();
  };
  return (
    <Menu
      side="top"
      align="start"
      className="max-h-(--radix-dropdown-menu-content-available-height) w-72 overflow-y-auto"
      trigger={
        <button
          type="button"
          aria-label={`Route: ${ROUTE_NAMES[route]}${chosen ? `, model: ${chosen}` : ""}`}
          onPointerEnter={ask}
          onFocus={ask}
          className="inline-flex h-8 min-w-0 items-center gap-1 rounded-full px-2.5 text-[0.8125rem] font-medium text-quiet transition-colors hover:bg-hover hover:text-ink data-[state=open]:bg-hover"
        >
          <span className="shrink-0">{ROUTE_NAMES[route]}</span>
          {chosen && <span className="min-w-0 truncate font-normal">· {chosen}</span>}
          <ChevronDown className="size-3.5 shrink-0" aria-hidden="true" />
        </button>
      }
    >
      <MenuChoices aria-label="Route" value={String(route)} onValueChange={(value) => onRoute(Number(value) as Route)}>
        {ROUTES.map(({ route: option, about }) => (
          <Choice key={option} value={String(option)} name={ROUTE_NAMES[option] ?? ""} about={about} />
        ))}
      </MenuChoices>
      <MenuLine />
      <MenuLabel>Model</MenuLabel>
      <MenuChoices aria-label="Model" value={chosen || BY_ROUTE} onValueChange={(model) => store.choose(model === BY_ROUTE ? "" : model)}>
        <Choice value={BY_ROUTE} name="The route's own" about="Fast or strong, as the route says" />
        {models?.map((model) => (
          <Choice key={`${model.provider}/${model.model}`} value={model.model} name={model.model} about={wordsForModel(model)} />
        ))}
      </MenuChoices>
      {!models && <MenuLabel>{error ? wordsFor(error) : "Loading…"}</MenuLabel>}
    </Menu>
  );
}

function Choice({ value, name, about }: { value: string; name: string; about: string }) {
  return (
    <MenuChoice value={value}>
      <span className="min-w-0 flex-1">
        <span className="block truncate font-medium" title={name}>
          {name}
        </span>
        <span className="block text-xs text-quiet">{about}</span>
      </span>
      <Check className="size-4 shrink-0 text-accent group-data-[state=unchecked]:invisible" aria-hidden="true" />
    </MenuChoice>
  );
}

/** openai · reads 128k tokens · $0.25 in, $2 out a million. What is not known is left out. */
function wordsForModel({ provider, offline, available, contextWindowTokens: window, inputUsdMicros: read, outputUsdMicros: written }: AvailableModel): string {
  if (offline) return "Built in: no provider is configured";
  if (!available) return `${provider} · can't be reached right now`;
  const price = read === undefined || written === undefined ? "" : `${dollars(read)} in, ${dollars(written)} out a million`;
  return [provider, window > 0 && `reads ${roughly(window)} tokens`, price].filter(Boolean).join(" · ");
}
