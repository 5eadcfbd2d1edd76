/** What keys do anywhere in the page, and the card that tells. */
import { X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { IconButton } from "../parts/buttons";

const APPLE = /Mac|iPhone|iPad/.test(navigator.platform);
const COMMAND = APPLE ? "⌘" : "Ctrl";

const KEYS: readonly { keys: readonly string[]; does: string }[] = [
  { keys: [COMMAND, "K"], does: "Search conversations" },
  { keys: [COMMAND, "Shift", "O"], does: "New chat" },
  { keys: ["/"], does: "Write a message" },
  { keys: ["Enter"], does: "Send" },
  { keys: ["Shift", "Enter"], does: "New line" },
  { keys: ["↑"], does: "Change your last message, from an empty field" },
  { keys: ["Esc"], does: "Stop the answer" },
  { keys: ["↓", "↑"], does: "Go through the list of conversations" },
  { keys: ["F2"], does: "Rename the conversation in the list" },
  { keys: ["Delete"], does: "Delete the conversation in the list" },
  { keys: [COMMAND, "/"], does: "This list" },
];

interface ShortcutsProps {
  onSearch: () => void;
  onNew: () => void;
}

export function Shortcuts({ onSearch, onNew }: ShortcutsProps) {
  const [told, setTold] = useState(false);
  const acts = useRef({ onSearch, onNew });
  acts.current = { onSearch, onNew };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      // An open dialog has the keys to itself.
      if (event.defaultPrevented || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
      const key = event.key.toLowerCase();
      const command = APPLE ? event.metaKey : event.ctrlKey;
      const act =
        command && key === "k" && !event.shiftKey
          ? acts.current.onSearch
          : command && key === "o" && event.shiftKey
            ? acts.current.onNew
            : command && key === "/"
              ? () => setTold(true)
              : key === "/" && !command && !writes(event.target)
                ? focusComposer
                : undefined;
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return told ? <Card onClose={() => setTold(false)} /> : null;
}

/** Whether keys are letters there. */
function writes(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(?:input|textarea|select)$/i.test(target.tagName));
}

function focusComposer(): void {
  document.querySelector<HTMLElement>("textarea[aria-label='Message']")?.focus();
}

function Card({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    // Not its button, whose hint would open with it and take the first Escape.
    dialog.current?.focus();
  }, []);
  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      aria-labelledby="shortcuts-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
      className="m-auto w-[min(28rem,calc(100vw-2rem))] rounded-2xl border border-line bg-raised p-0 text-ink shadow-float outline-none open:animate-rise"
    >
      <div className="p-5">
        <div className="mb-3 flex items-center gap-3">
          <h2 id="shortcuts-title" className="flex-1 text-base font-semibold">
            Keys
          </h2>
          <IconButton small label="Close" onClick={() => dialog.current?.close()}>
            <X className="size-4" />
          </IconButton>
        </div>
        <dl className="grid grid-cols-[1fr_auto] items-center gap-x-4 gap-y-2 text-sm">
          {KEYS.map(({ keys, does }) => (
            <div key={does} className="col-span-2 grid grid-cols-subgrid">
              <dt className="text-quiet">{does}</dt>
              <dd className="flex items-start justify-end gap-1">
                {keys.map((key) => (
                  <kbd key={key} className="min-w-6 rounded-md border border-line bg-sunken px-1.5 py-0.5 text-center font-sans text-xs">
                    {key}
                  </kbd>
                ))}
              </dd>
            </div>
          ))}
        </dl>
      </div>
    </dialog>
  );
}
