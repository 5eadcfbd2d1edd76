/** What the user said. */
import { Pencil } from "lucide-react";
import { useState, type ReactNode } from "react";
import type { Message } from "@parley/protos/parley/chat/v1/message_pb";
import { Button, CopyButton, IconButton } from "../parts/buttons";

interface QuestionProps {
  message: Message;
  /** Sends changed words as an alternative. Absent where that is not possible. */
  onEdit?: ((text: string) => void) | undefined;
  alternatives?: ReactNode;
}

export function Question({ message, onEdit, alternatives }: QuestionProps) {
  const [editing, setEditing] = useState(false);
  if (editing && onEdit) {
    return (
      <Editor
        text={message.text}
        onCancel={() => setEditing(false)}
        onSend={(text) => {
          setEditing(false);
          onEdit(text);
        }}
      />
    );
  }
  return (
    <div className="group flex flex-col items-end">
      <Bubble>{message.text}</Bubble>
      <div className="mt-1 -mb-4 flex h-7 items-center gap-0.5">
        <div className="flex opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 pointer-coarse:opacity-100">
          <CopyButton text={() => message.text} label="Copy message" />
          {onEdit && (
            <IconButton small label="Edit message" onClick={() => setEditing(true)}>
              <Pencil className="size-4" />
            </IconButton>
          )}
        </div>
        {alternatives}
      </div>
    </div>
  );
}

export function Bubble({ children, faint }: { children: ReactNode; faint?: boolean }) {
  return (
    <div
      className={`max-w-[85%] rounded-2xl rounded-br-md bg-bubble px-4 py-2.5 leading-[1.6] wrap-anywhere whitespace-pre-wrap sm:max-w-[75%] ${faint ? "opacity-70" : ""}`}
    >
      <span className="sr-only">You said: </span>
      <span dir="auto">{children}</span>
    </div>
  );
}

function Editor({ text, onCancel, onSend }: { text: string; onCancel: () => void; onSend: (text: string) => void }) {
  const [draft, setDraft] = useState(text);
  const ready = draft.trim() !== "";
  return (
    <form
      className="rounded-2xl border border-line bg-raised p-3 shadow-low"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) onSend(draft);
      }}
    >
      <textarea
        autoFocus
        aria-label="Edit message"
        dir="auto"
        value={draft}
        maxLength={32_000}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel();
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            if (ready) onSend(draft);
          }
        }}
        className="field-sizing-content max-h-80 min-h-14 w-full resize-none bg-transparent outline-none"
      />
      <div className="mt-2 flex items-center justify-end gap-2">
        <span className="mr-auto text-xs text-quiet">Sends it anew. The first version stays.</span>
        <Button onClick={onCancel}>Cancel</Button>
        <Button look="accent" type="submit" disabled={!ready}>
          Send
        </Button>
      </div>
    </form>
  );
}
