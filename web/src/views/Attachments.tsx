/** The files beside a message that is being written: dropped, pasted or chosen, read in, and then there to be cited. */
import { CircleAlert, FileText, RotateCcw, Upload as UploadIcon, X } from "lucide-react";
import { useEffect, useState } from "react";
import { useStore } from "zustand";
import { wordsFor } from "../rpc/errors";
import { documents, projects, sessions, tell } from "../state/app";
import type { Conversation } from "../state/conversation";
import { canRetry, isOver, type Upload } from "../state/documents";
import { tellAttachment } from "../text/attachments";

/** The files of a conversation's next message, in the order in which they were added. */
export function useAttachments(conversation: Conversation): Upload[] {
  const keys = useStore(conversation.store, ({ attached }) => attached);
  const uploads = useStore(documents.store, (state) => state.uploads);
  return keys.flatMap((key) => uploads.find((upload) => upload.key === key) ?? []);
}

/** Has files read in, for the project of the conversation, and puts them beside its next message. */
export async function attach(conversation: Conversation, files: readonly { file: File; folder?: boolean }[]): Promise<void> {
  if (files.length === 0) return;
  try {
    const { sessionId } = conversation.state;
    const project = sessionId === undefined ? projects.current : await sessions.projectOf(sessionId);
    conversation.attach(documents.add(files, project));
  } catch (thrown) {
    tell(wordsFor(thrown));
  }
}

/** Takes a file from beside the message. One that is not read in yet is not read in at all; one that is stays among the documents. */
function remove(conversation: Conversation, upload: Upload): void {
  conversation.detach(upload.key);
  if (!isOver(upload)) void documents.cancel(upload.key);
  else documents.hide(upload.key);
}

interface AttachmentsProps {
  conversation: Conversation;
  uploads: readonly Upload[];
  /** Whether the message is held back until they are read. */
  waiting: boolean;
  /** Whether the route that is chosen does not search. */
  unsearched: boolean;
}

export function Attachments({ conversation, uploads, waiting, unsearched }: AttachmentsProps) {
  const sessionId = useStore(conversation.store, (state) => state.sessionId);
  const projectId = useStore(sessions.store, (state) => state.sessions.find((session) => session.sessionId === sessionId)?.projectId);
  const project = useStore(projects.store, ({ current }) => projects.titleOf(sessionId === undefined ? current : (projectId ?? "")));
  if (uploads.length === 0) return null;
  const told = uploads.map((upload) => ({ upload, ...tellAttachment(upload) }));
  const working = told.filter(({ look }) => look === "working").length;
  const bad = told.filter(({ look }) => look === "bad");
  return (
    <div className="px-3 pt-3">
      <ul aria-label="Attached files" className="flex flex-wrap gap-2">
        {told.map(({ upload, look, words, part }) => (
          <li
            key={upload.key}
            className={`relative flex w-60 max-w-full animate-rise items-center gap-2.5 overflow-hidden rounded-xl border py-2 pr-1.5 pl-2.5 ${look === "bad" ? "border-bad bg-bad-soft" : "border-line bg-sunken"}`}
          >
            <span className={`grid size-8 shrink-0 place-items-center rounded-lg ${look === "bad" ? "text-bad" : "bg-accent-soft text-accent"}`}>
              {look === "bad" ? <CircleAlert className="size-4.5" aria-hidden="true" /> : <FileText className="size-4.5" aria-hidden="true" />}
            </span>
            <span className="min-w-0 flex-1 text-[0.8125rem] leading-tight">
              <span className="block truncate font-medium" title={upload.name}>
                {upload.name || "File without a name"}
              </span>
              <span className={`block text-xs ${look === "bad" ? "line-clamp-4 text-pretty text-bad" : "truncate text-quiet"}`} title={words}>
                {words}
              </span>
            </span>
            {look === "bad" && canRetry(upload) && (
              <button
                type="button"
                aria-label={`Try again: ${upload.name}`}
                onClick={() => void documents.retry(upload.key)}
                className="grid size-7 shrink-0 place-items-center rounded-md text-quiet hover:bg-hover hover:text-ink"
              >
                <RotateCcw className="size-4" />
              </button>
            )}
            <button
              type="button"
              aria-label={`Remove ${upload.name}`}
              onClick={() => remove(conversation, upload)}
              className="grid size-7 shrink-0 place-items-center rounded-md text-quiet hover:bg-hover hover:text-ink"
            >
              <X className="size-4" />
            </button>
            {look === "working" && (
              <progress
                aria-label={`Progress of ${upload.name}`}
                max={1}
                value={part}
                className="absolute inset-x-0 bottom-0 block h-0.5 w-full appearance-none bg-line [&::-moz-progress-bar]:bg-accent [&::-webkit-progress-bar]:bg-line [&::-webkit-progress-value]:bg-accent [&::-webkit-progress-value]:transition-[inline-size]"
              />
            )}
          </li>
        ))}
      </ul>
      <p role="status" className="mt-1.5 px-1 text-xs text-pretty text-quiet">
        {bad.length > 0
          ? `Remove ${bad.length === 1 ? "the file that could not be read" : "the files that could not be read"} to send the message.`
          : working > 0
            ? waiting
              ? "Your message goes out when the files are read."
              : `Reading ${working === 1 ? "1 file" : `${working} files`}${project ? ` into the project “${project}”` : " into your documents"}…`
            : unsearched
              ? "The standard route doesn't search files. Choose another, or it won't see them."
              : `Read, and kept in ${project ? `the project “${project}”` : "your documents"}. The answer can cite ${uploads.length === 1 ? "it" : "them"}.`}
      </p>
    </div>
  );
}

/** Takes files that are dropped anywhere in the window, and tells whether some are held over it. */
export function useDroppedFiles(onFiles: (files: { file: File; folder: boolean }[]) => void): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const holdsFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const onOver = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const onLeave = (event: DragEvent) => event.relatedTarget === null && setOver(false);
    const onDrop = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      setOver(false);
      onFiles(
        Array.from(event.dataTransfer?.items ?? []).flatMap((item) => {
          const file = item.getAsFile();
          return file ? [{ file, folder: item.webkitGetAsEntry()?.isDirectory ?? false }] : [];
        }),
      );
    };
    addEventListener("dragover", onOver);
    addEventListener("dragleave", onLeave);
    addEventListener("drop", onDrop);
    return () => {
      removeEventListener("dragover", onOver);
      removeEventListener("dragleave", onLeave);
      removeEventListener("drop", onDrop);
    };
  }, [onFiles]);
  return over;
}

/** Over the composer while files are held over the window. */
export function DropHere() {
  return (
    <div
      className="pointer-events-none absolute inset-0 z-10 grid animate-rise place-items-center rounded-3xl border-2 border-dashed border-accent bg-accent-soft"
      aria-hidden="true"
    >
      <span className="flex items-center gap-2.5 font-medium text-accent">
        <UploadIcon className="size-5" />
        Drop files to ask about them
      </span>
    </div>
  );
}
