/** One conversation in the list: opens, is renamed where it stands, is deleted after a question. */
import { Braces, Check, ChevronRight, Ellipsis, FileText, Folder, Hand, Pencil, Trash2 } from "lucide-react";
import { useRef, useState } from "react";
import { useStore } from "zustand";
import type { Session } from "@parley/protos/parley/chat/v1/session_pb";
import { Confirm } from "../parts/Confirm";
import { Menu, MenuBranch, MenuChoice, MenuChoices, MenuItem } from "../parts/Menu";
import { wordsFor } from "../rpc/errors";
import { seek } from "../state/places";
import { approvals, conversations, projects, sessions, tell } from "../state/app";
import { cutAtWords } from "../text/highlights";
import type { Transcript, TranscriptKind } from "../text/transcript";

interface SessionRowProps {
  session: Session;
  /** What was searched for, and what was found of it. */
  found?: { readonly query: string; readonly snippet: string; readonly messageId: string };
  current: boolean;
  onGo: (path: string) => void;
}

export function SessionRow({ session, found, current, onGo }: SessionRowProps) {
  const [renaming, setRenaming] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const { sessionId } = session;
  const title = session.title || "New chat";
  const allProjects = useStore(projects.store, (state) => state.projects);
  const waits = useStore(approvals.store, ({ waiting }) => [...waiting.values()].some((approval) => approval.sessionId === sessionId));
  const path = `/c/${sessionId}`;
  const download = (kind: TranscriptKind) => {
    sessions
      .export(sessionId, kind)
      .then(save)
      .catch((error: unknown) => tell(wordsFor(error)));
  };

  if (renaming) {
    return (
      <li>
        <Rename
          title={session.title}
          onEnd={(next) => {
            setRenaming(false);
            if (next !== undefined && next !== session.title) sessions.rename(sessionId, next).catch((error: unknown) => tell(wordsFor(error)));
          }}
        />
      </li>
    );
  }

  return (
    <li className="group/row relative">
      <a
        href={path}
        aria-current={current ? "page" : undefined}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return;
          event.preventDefault();
          if (found) seek(found.messageId);
          onGo(path);
        }}
        onDoubleClick={() => setRenaming(true)}
        onKeyDown={(event) => {
          if (event.key === "F2") setRenaming(true);
          else if (event.key === "Delete") setDeleting(true);
          else return;
          event.preventDefault();
        }}
        data-session={sessionId}
        className="block rounded-lg py-1.5 pr-9 pl-2.5 text-sm transition-colors hover:bg-hover aria-[current]:bg-hover aria-[current]:font-medium"
      >
        <span className="flex items-center gap-2">
          {waits ? (
            <>
              <Hand className="size-3.5 shrink-0 text-accent" aria-hidden="true" />
              <span className="sr-only">Waits for your approval: </span>
            </>
          ) : session.runningTurnId && (
            <>
              <span className="size-1.5 shrink-0 animate-breathe rounded-full bg-accent" aria-hidden="true" />
              <span className="sr-only">Being answered: </span>
            </>
          )}
          <span className="truncate" title={title}>
            <Marked text={title} query={found?.query} />
          </span>
        </span>
        {found?.snippet && (
          <span className="line-clamp-2 text-xs font-normal text-quiet">
            <Marked text={found.snippet} query={found.query} />
          </span>
        )}
      </a>
      <Menu
        align="start"
        onCloseAutoFocus={(event) => renaming && event.preventDefault()}
        trigger={
          <button
            type="button"
            aria-label={`More for ${title}`}
            className="absolute top-1 right-1 grid size-6.5 place-items-center rounded-md text-quiet opacity-0 group-focus-within/row:opacity-100 group-hover/row:opacity-100 hover:text-ink data-[state=open]:opacity-100 pointer-coarse:opacity-100"
          >
            <Ellipsis className="size-4" />
          </button>
        }
      >
        <MenuItem onSelect={() => setRenaming(true)}>
          <Pencil className="size-4" aria-hidden="true" />
          Rename
        </MenuItem>
        {allProjects.length > 0 && (
          <MenuBranch
            name={
              <>
                <Folder className="size-4" aria-hidden="true" />
                <span className="flex-1">Move to</span>
                <ChevronRight className="size-4 text-quiet" aria-hidden="true" />
              </>
            }
          >
            <MenuChoices
              value={session.projectId}
              onValueChange={(projectId) => void sessions.move(sessionId, projectId).catch((error: unknown) => tell(wordsFor(error)))}
            >
              {[{ projectId: "", title: "No project" }, ...allProjects].map((project) => (
                <MenuChoice key={project.projectId} value={project.projectId}>
                  <span className="min-w-0 flex-1 truncate">{project.title}</span>
                  <Check className="size-4 shrink-0 text-accent group-data-[state=unchecked]:invisible" aria-hidden="true" />
                </MenuChoice>
              ))}
            </MenuChoices>
          </MenuBranch>
        )}
        <MenuItem onSelect={() => download("markdown")}>
          <FileText className="size-4" aria-hidden="true" />
          Export as Markdown
        </MenuItem>
        <MenuItem onSelect={() => download("json")}>
          <Braces className="size-4" aria-hidden="true" />
          Export as JSON
        </MenuItem>
        <MenuItem danger onSelect={() => setDeleting(true)}>
          <Trash2 className="size-4" aria-hidden="true" />
          Delete
        </MenuItem>
      </Menu>
      {deleting && (
        <Confirm
          title="Delete this conversation?"
          yes="Delete"
          onClose={() => setDeleting(false)}
          onYes={() => {
            sessions
              .remove(sessionId)
              .then(() => {
                conversations.drop(sessionId);
                if (current) onGo("/");
              })
              .catch((error: unknown) => tell(wordsFor(error)));
          }}
        >
          “{title}” and all its messages will be gone for good.
        </Confirm>
      )}
    </li>
  );
}

/** A text, with the words of a search marked. */
function Marked({ text, query = "" }: { text: string; query?: string | undefined }) {
  return cutAtWords(text, query).map((piece, index) =>
    piece.found ? (
      <mark key={index} className="rounded-xs bg-mark text-ink">
        {piece.text}
      </mark>
    ) : (
      piece.text
    ),
  );
}

/** Hands a file to the browser's downloads. */
function save({ fileName, type, text }: Transcript) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  link.download = fileName;
  link.click();
  // Not at once: the download reads it after this task.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Ends with the new title on Enter or when the focus leaves, with undefined on Escape. */
function Rename({ title, onEnd }: { title: string; onEnd: (title: string | undefined) => void }) {
  const ended = useRef(false);
  const end = (next: string | undefined) => {
    if (ended.current) return;
    ended.current = true;
    onEnd(next);
  };
  return (
    <input
      aria-label="Title of the conversation"
      defaultValue={title}
      maxLength={200}
      autoFocus
      onFocus={(event) => event.target.select()}
      onBlur={(event) => end(event.target.value.trim())}
      onKeyDown={(event) => {
        if (event.key === "Enter" && !event.nativeEvent.isComposing) end(event.currentTarget.value.trim());
        if (event.key === "Escape") end(undefined);
      }}
      className="h-8.5 w-full rounded-lg bg-raised px-2.5 text-sm ring-1 ring-accent outline-none"
    />
  );
}
