/** What the user said. */
import { FileText, Pencil } from "lucide-react";
import { useState, type ReactNode } from "react";
import type { Message } from "@parley/protos/parley/chat/v1/message_pb";
import { Button, CopyButton, IconButton } from "../parts/buttons";
import { splitAttachments, withAttachments } from "../text/attachments";

interface QuestionProps {
  message: Message;
  /** Sends changed words as an alternative. Absent where that is not possible. */
  onEdit?: ((text: string) => void) | undefined;
  alternatives?: ReactNode;
}

export function Question({ message, onEdit, alternatives }: QuestionProps) {
  const [editing, setEditing] = useState(false);
  const { text: typed, titles } = splitAttachments(message.text);
  if (editing && onEdit) {
    return (
      <Editor
        text={typed}
        onCancel={() => setEditing(false)}
        onSend={(text) => {
          setEditing(false);
          onEdit(withAttachments(text.trim(), titles));
        }}
      />
    );
  }
  return (
    <div className="group flex flex-col items-end">
      <Bubble>{message.text}</Bubble>
      <div className="mt-1 -mb-4 flex h-7 items-center gap-0.5">
        <div className="flex opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 pointer-coarse:opacity-100">
          <CopyButton text={() => typed} label="Copy message" />
          {onEdit && (
            <IconButton small label="Edit message" data-edits-message="" onClick={() => setEditing(true)}>
              <Pencil className="size-4" />
            </IconButton>
          )}
        </div>
        {alternatives}
      </div>
    </div>
  );
}

/** @param children the message as it is stored: what is attached to it is shown above it. */
export function Bubble({ children, faint }: { children: string; faint?: boolean }) {
  const { text, titles } = splitAttachments(children);
  return (
    <>
      {titles.length > 0 && (
        <ul aria-label="Attached files" className="mb-1.5 flex max-w-[85%] flex-wrap justify-end gap-1.5 sm:max-w-[75%]">
          {titles.map((title, index) => (
            <li key={index} className="flex min-w-0 items-center gap-2 rounded-xl border border-line bg-raised py-1.5 pr-3 pl-2 text-[0.8125rem]">
              <FileText className="size-4 shrink-0 text-accent" aria-hidden="true" />
              <span className="min-w-0 truncate">{title}</span>
            </li>
          ))}
        </ul>
      )}
      <div
        className={`max-w-[85%] rounded-2xl rounded-br-md bg-bubble px-4 py-2.5 leading-[1.6] wrap-anywhere whitespace-pre-wrap sm:max-w-[75%] ${faint ? "opacity-70" : ""}`}
      >
        <span className="sr-only">You said: </span>
        <span dir="auto">{text}</span>
      </div>
    </>
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
