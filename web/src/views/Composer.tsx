/** Where a message is written: with files beside it, the way it is to be answered, and what that would take. */
import { ArrowUp, LoaderCircle, Plus, Square, TriangleAlert } from "lucide-react";
import { useCallback, useEffect, useRef, useState, type ClipboardEvent } from "react";
import { useStore } from "zustand";
import { Route } from "@parley/protos/parley/chat/v1/message_pb";
import { Hint } from "../parts/Hint";
import { documents, models } from "../state/app";
import type { Conversation } from "../state/conversation";
import { routeFor, tellAttachment, withAttachments } from "../text/attachments";
import { codePointLength } from "../text/codePoints";
import { count } from "../text/figures";
import { AnswerMenu } from "./AnswerMenu";
import { attach, Attachments, DropHere, useAttachments, useDroppedFiles } from "./Attachments";
import { Estimate, useEstimate } from "./Estimate";

/** As the contract has it. */
const LONGEST = 32_000;

interface ComposerProps {
  conversation: Conversation;
  route: Route;
  onRoute: (route: Route) => void;
  /** Whether an answer is being written. */
  busy: boolean;
  stopping: boolean;
  onStop: () => void;
}

export function Composer({ conversation, route, onRoute, busy, stopping, onStop }: ComposerProps) {
  const field = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const draft = useStore(conversation.store, (state) => state.draft);
  const sessionId = useStore(conversation.store, (state) => state.sessionId);
  const model = useStore(models.store, ({ chosen }) => chosen);
  const uploads = useAttachments(conversation);
  const looks = uploads.map((upload) => tellAttachment(upload).look);
  const [held, setHeld] = useState(false);

  const text = draft.trim();
  const message = withAttachments(text, uploads.map(({ job, name }) => job?.title || name));
  const taken = routeFor(message, route);
  const length = codePointLength(message);
  const fits = text !== "" && length <= LONGEST;
  const ready = fits && !busy && !looks.includes("bad");
  const reading = looks.includes("working");
  const estimate = useEstimate(fits ? message : "", sessionId, taken, model);

  const send = () => {
    if (!ready) return;
    if (reading) return setHeld(true);
    setHeld(false);
    for (const { key } of uploads) documents.hide(key);
    conversation.detach();
    conversation.type("");
    conversation.send(message, route);
  };
  // What was sent before its files were read goes out when they are; what is changed meanwhile is sent anew.
  const latest = useRef(send);
  latest.current = send;
  useEffect(() => {
    if (!held) return;
    if (!ready) setHeld(false);
    else if (!reading) latest.current();
  }, [held, ready, reading]);

  useEffect(() => {
    // On phones the keyboard would cover what the reader came for.
    if (!matchMedia("(pointer: coarse)").matches) field.current?.focus();
  }, []);
  useAutoGrow(field, draft);
  const take = useCallback((files: readonly { file: File; folder?: boolean }[]) => void attach(conversation, files), [conversation]);
  const over = useDroppedFiles(take);

  const onPaste = (event: ClipboardEvent) => {
    const files = Array.from(event.clipboardData.files, (file) => ({ file }));
    const pasted = event.clipboardData.getData("text/plain");
    // A table from a spreadsheet comes as text and as a picture of it.
    if (files.length > 0 && !pasted) take(files);
    else if (codePointLength(draft) + codePointLength(pasted) > LONGEST) take([{ file: new File([pasted], "Pasted text.txt", { type: "text/plain" }) }]);
    else return;
    event.preventDefault();
  };

  return (
    <form
      className="relative rounded-3xl border border-line bg-raised shadow-float transition-[border-color] focus-within:border-line-strong"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onClick={(event) => event.target === event.currentTarget && field.current?.focus()}
    >
      <Attachments conversation={conversation} uploads={uploads} waiting={held} unsearched={taken === Route.STANDARD} />
      <textarea
        ref={field}
        rows={1}
        aria-label="Message"
        dir="auto"
        placeholder="Ask Parley"
        value={draft}
        onChange={(event) => {
          setHeld(false);
          conversation.type(event.target.value);
        }}
        onPaste={onPaste}
        onKeyDown={(event) => {
          if (event.key === "Escape" && busy && !stopping) {
            // A document beside the conversation stays open: one press, one thing.
            event.stopPropagation();
            onStop();
          }
          if (event.key === "ArrowUp" && draft === "" && editLast()) event.preventDefault();
          // Enter ends a word in an input method, and is the only way to a new line on a phone.
          const plain = event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing;
          if (!plain || matchMedia("(pointer: coarse)").matches) return;
          event.preventDefault();
          send();
        }}
        className="block max-h-[40dvh] w-full resize-none bg-transparent px-5 pt-4 pb-1 text-base leading-6 outline-none"
      />
      {estimate?.warning && (
        <p role="status" className="flex items-start gap-2 px-5 pt-1 text-xs text-pretty text-warn">
          <TriangleAlert className="mt-0.5 size-3.5 shrink-0" aria-hidden="true" />
          {estimate.warning}
        </p>
      )}
      <div className="flex items-center gap-1 py-2 pr-2 pl-2">
        <Hint text="Attach files">
          <button
            type="button"
            aria-label="Attach files"
            onClick={() => picker.current?.click()}
            className="grid size-9 shrink-0 place-items-center rounded-full text-quiet transition-colors hover:bg-hover hover:text-ink"
          >
            <Plus className="size-5" />
          </button>
        </Hint>
        <input
          ref={picker}
          type="file"
          multiple
          aria-label="Files to attach"
          tabIndex={-1}
          className="sr-only"
          onChange={(event) => {
            take(Array.from(event.target.files ?? [], (file) => ({ file })));
            // The same file chosen once more is a change too.
            event.target.value = "";
            field.current?.focus();
          }}
        />
        <AnswerMenu route={route} onRoute={onRoute} />
        <span className="ml-auto flex min-w-0 items-center gap-2 pr-1">
          {estimate && !busy && length <= LONGEST - 2_000 && <Estimate words={estimate} />}
          <span className={`shrink-0 text-xs tabular-nums ${length > LONGEST ? "text-bad" : "text-quiet"}`} role="status">
            {length > LONGEST - 2_000 && `${count(length)} of ${count(LONGEST)}`}
          </span>
        </span>
        {busy ? (
          <Hint text="Stop (Esc)">
            <button
              type="button"
              aria-label="Stop"
              disabled={stopping}
              onClick={onStop}
              className="grid size-9 shrink-0 place-items-center rounded-full bg-ink text-ground transition-opacity hover:opacity-85 disabled:opacity-50"
            >
              <Square className="size-3.5 fill-current" />
            </button>
          </Hint>
        ) : held ? (
          <Hint text="Don't send yet">
            <button
              type="button"
              aria-label="Don't send yet"
              onClick={() => setHeld(false)}
              className="grid size-9 shrink-0 place-items-center rounded-full bg-accent text-on-accent"
            >
              <LoaderCircle className="size-5 animate-spin" />
            </button>
          </Hint>
        ) : (
          <Hint text="Send">
            <button
              type="submit"
              aria-label="Send"
              disabled={!ready}
              className="grid size-9 shrink-0 place-items-center rounded-full bg-accent text-on-accent transition-colors hover:bg-accent-hover disabled:bg-hover disabled:text-quiet"
            >
              <ArrowUp className="size-5" />
            </button>
          </Hint>
        )}
      </div>
      {over && <DropHere />}
    </form>
  );
}

/** Opens the last message on the screen to be changed; false when there is none that can be. */
function editLast(): boolean {
  const last = Array.from(document.querySelectorAll<HTMLElement>("[data-edits-message]")).at(-1);
  last?.click();
  return last !== undefined;
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
