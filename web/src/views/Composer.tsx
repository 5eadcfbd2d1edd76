/** Where a message is written. */
import { ArrowUp, Check, ChevronDown, Square } from "lucide-react";
import { useEffect, useRef } from "react";
import { Route } from "@parley/protos/parley/chat/v1/message_pb";
import { Hint } from "../parts/Hint";
import { Menu, MenuChoice, MenuChoices } from "../parts/Menu";
import { codePointLength } from "../text/codePoints";
import { count } from "../text/figures";
import { ROUTE_NAMES } from "./Figures";

/** As the contract has it. */
const LONGEST = 32_000;

interface ComposerProps {
  draft: string;
  onType: (text: string) => void;
  onSend: () => void;
  route: Route;
  onRoute: (route: Route) => void;
  /** Whether an answer is being written. */
  busy: boolean;
  stopping: boolean;
  onStop: () => void;
}

export function Composer({ draft, onType, onSend, route, onRoute, busy, stopping, onStop }: ComposerProps) {
  const field = useRef<HTMLTextAreaElement>(null);
  const length = codePointLength(draft);
  const ready = draft.trim() !== "" && length <= LONGEST && !busy;

  useEffect(() => {
    // On phones the keyboard would cover what the reader came for.
    if (!matchMedia("(pointer: coarse)").matches) field.current?.focus();
  }, []);
  useAutoGrow(field, draft);

  return (
    <form
      className="rounded-3xl border border-line bg-raised shadow-float transition-[border-color] focus-within:border-line-strong"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) onSend();
      }}
      onClick={(event) => event.target === event.currentTarget && field.current?.focus()}
    >
      <textarea
        ref={field}
        rows={1}
        aria-label="Message"
        dir="auto"
        placeholder="Ask Parley"
        value={draft}
        onChange={(event) => onType(event.target.value)}
        onKeyDown={(event) => {
          // Enter ends a word in an input method, and is the only way to a new line on a phone.
          const plain = event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing;
          if (!plain || matchMedia("(pointer: coarse)").matches) return;
          event.preventDefault();
          if (ready) onSend();
        }}
        className="block max-h-[40dvh] w-full resize-none bg-transparent px-5 pt-4 pb-1 text-base leading-6 outline-none"
      />
      <div className="flex items-center gap-2 py-2 pr-2 pl-3">
        <RouteMenu route={route} onRoute={onRoute} />
        <span className={`ml-auto text-xs tabular-nums ${length > LONGEST ? "text-bad" : "text-quiet"}`} role="status">
          {length > LONGEST - 2_000 && `${count(length)} of ${count(LONGEST)}`}
        </span>
        {busy ? (
          <Hint text="Stop">
            <button
              type="button"
              aria-label="Stop"
              disabled={stopping}
              onClick={onStop}
              className="grid size-9 place-items-center rounded-full bg-ink text-ground transition-opacity hover:opacity-85 disabled:opacity-50"
            >
              <Square className="size-3.5 fill-current" />
            </button>
          </Hint>
        ) : (
          <Hint text="Send">
            <button
              type="submit"
              aria-label="Send"
              disabled={!ready}
              className="grid size-9 place-items-center rounded-full bg-accent text-on-accent transition-colors hover:bg-accent-hover disabled:bg-hover disabled:text-quiet"
            >
              <ArrowUp className="size-5" />
            </button>
          </Hint>
        )}
      </div>
    </form>
  );
}

const ROUTES: readonly { route: Route; about: string }[] = [
  { route: Route.AUTOMATIC, about: "Parley chooses, and says why" },
  { route: Route.STANDARD, about: "The fast model, without search" },
  { route: Route.ENHANCED, about: "Searches the knowledge base, strong model" },
];

function RouteMenu({ route, onRoute }: { route: Route; onRoute: (route: Route) => void }) {
  return (
    <Menu
      side="top"
      align="start"
      className="w-72"
      trigger={
        <button
          type="button"
          aria-label={`Route: ${ROUTE_NAMES[route]}`}
          className="inline-flex h-8 items-center gap-1 rounded-full px-2.5 text-[0.8125rem] font-medium text-quiet transition-colors hover:bg-hover hover:text-ink data-[state=open]:bg-hover"
        >
          {ROUTE_NAMES[route]}
          <ChevronDown className="size-3.5" aria-hidden="true" />
        </button>
      }
    >
      <MenuChoices value={String(route)} onValueChange={(value) => onRoute(Number(value) as Route)}>
        {ROUTES.map(({ route: option, about }) => (
          <MenuChoice key={option} value={String(option)}>
            <span className="min-w-0 flex-1">
              <span className="block font-medium">{ROUTE_NAMES[option]}</span>
              <span className="block text-xs text-quiet">{about}</span>
            </span>
            <Check className="size-4 text-accent group-data-[state=unchecked]:invisible" aria-hidden="true" />
          </MenuChoice>
        ))}
      </MenuChoices>
    </Menu>
  );
}

/** Makes the field as high as its text. The style sheet says how high at most. */
function useAutoGrow(field: React.RefObject<HTMLTextAreaElement | null>, text: string) {
  useEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [field, text]);
}
