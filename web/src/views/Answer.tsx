/** What Parley answered: the text as it grows, its sources, what the reader should know, and what it took. */
import { BadgeCheck, ChevronRight, CircleStop, Hourglass, RotateCcw, TriangleAlert } from "lucide-react";
import { useMemo, useState, type ReactNode } from "react";
import { MessageState, type Citation, type Message } from "@parley/protos/parley/chat/v1/message_pb";
import { ToolApprovalState } from "@parley/protos/parley/chat/v1/tool_pb";
import { NoticeKind } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { Button, CopyButton, IconButton } from "../parts/buttons";
import { Citations, type CitationReader } from "../parts/citationReader";
import { MarkdownLater } from "../parts/MarkdownLater";
import { Notice } from "../parts/Notice";
import { wordsFor, wordsForFailure, wordsForNotice } from "../rpc/errors";
import { wordsForBudget } from "../text/budgets";
import type { LiveAnswer, Remarks } from "../state/conversation";
import { headingWithin } from "../text/citations";
import { Figures } from "./Figures";
import { SourceCard } from "./SourceCard";
import { ToolUses } from "./ToolUses";

interface AnswerProps {
  message: Message;
  live: LiveAnswer | undefined;
  remarks: Remarks | undefined;
  /** Whether an answer further up has told already that no model is configured. */
  offlineTold: boolean;
  onAskAgain?: (() => void) | undefined;
  onReconnect: () => void;
  alternatives?: ReactNode;
}

export function Answer({ message, live, remarks, offlineTold, onAskAgain, onReconnect, alternatives }: AnswerProps) {
  const text = live?.text ?? message.text;
  const citations = live?.citations ?? message.citations;
  const toolUses = live?.toolUses ?? message.toolUses;
  const writing = live !== undefined && !live.error;
  const asks = writing && toolUses.some(({ approval }) => approval === ToolApprovalState.PENDING);
  const [pressed, setPressed] = useState<{ number: number; at: HTMLElement }>();

  const byNumber = useMemo(() => new Map(citations.map((citation) => [citation.number, citation])), [citations]);
  const numbers = useMemo(() => [...byNumber.keys()].join(","), [byNumber]);
  const reader = useMemo<CitationReader>(
    () => ({
      title: (number) => byNumber.get(number)?.documentTitle,
      open: (number, at) => setPressed({ number, at }),
    }),
    [byNumber],
  );
  const notices = remarks?.notices.filter(({ kind }) => !(offlineTold && kind === NoticeKind.OFFLINE_MODEL));
  const open = pressed && byNumber.get(pressed.number);

  return (
    // Nothing in what is busy is read out, and the place of an answer that waits, and what it asks, should be.
    <article className="group" aria-busy={writing && !live.queuePlace && !asks} aria-label="Answer">
      {notices?.map((notice, index) => (
        <div key={index} className="mb-3">
          <Notice kind={notice.kind === NoticeKind.OFFLINE_MODEL ? "info" : "warn"}>{wordsForNotice(notice)}</Notice>
        </div>
      ))}
      {(live?.reasoning || remarks?.reasoning) && <Reasoning text={live?.reasoning || remarks?.reasoning || ""} thinking={writing && !text} />}
      {toolUses.length > 0 && <ToolUses uses={toolUses} turnId={writing ? message.turnId : undefined} />}
      {writing && !text && !live.queuePlace && !asks && !live.reasoning && <Thinking live={live} />}
      <Citations value={reader}>
        <MarkdownLater text={text} writing={writing} numbers={numbers} />
      </Citations>
      {/* There while the answer is written, so that what comes into it is read out. */}
      {writing && (
        <div aria-live="polite">
          {live.queuePlace > 0 && <Waiting place={live.queuePlace} below={text !== ""} />}
          {asks && <span className="sr-only">The assistant waits for your approval.</span>}
        </div>
      )}
      {live?.error && (
        <div className="mt-3">
          <Notice kind="lost" urgent action={<Button onClick={onReconnect}>Reconnect</Button>}>
            {wordsFor(live.error)}
          </Notice>
        </div>
      )}
      {message.state === MessageState.FAILED && (
        <div className="mt-3">
          <Notice kind="bad" urgent action={onAskAgain && <TryAgain onClick={onAskAgain} />}>
            {remarks?.budget ? wordsForBudget(remarks.budget) : wordsForFailure(message.failure)}
          </Notice>
        </div>
      )}
      {!writing && citations.length > 0 && <Sources citations={citations} onOpen={(number, at) => setPressed({ number, at })} />}
      {/* As high while the answer is written as it is after: what stands below does not move. */}
      <footer className="mt-2 min-h-8">
        {!writing && (
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <div className="-ml-1.5 flex items-center">
              {text && <CopyButton text={() => text} label="Copy answer" />}
              {onAskAgain && message.state !== MessageState.FAILED && (
                <IconButton small label="Try again" onClick={onAskAgain}>
                  <RotateCcw className="size-4" />
                </IconButton>
              )}
              {alternatives}
            </div>
            {message.state === MessageState.STOPPED && (
              <span className="inline-flex items-center gap-1.5 text-xs font-medium text-quiet">
                <CircleStop className="size-3.5" aria-hidden="true" />
                You stopped this answer
              </span>
            )}
            <Figures message={message} routeReason={remarks?.routeReason ?? ""} />
          </div>
        )}
      </footer>
      {open && pressed && <SourceCard citation={open} at={pressed.at} onClose={() => setPressed(undefined)} />}
    </article>
  );
}

function TryAgain({ onClick }: { onClick: () => void }) {
  return (
    <Button onClick={onClick} className="-my-0.5 min-h-7 px-2.5 py-0.5">
      <RotateCcw className="size-3.5" />
      Try again
    </Button>
  );
}

function Thinking({ live }: { live: LiveAnswer | undefined }) {
  const words = live?.citations.length ? `Reading ${live.citations.length === 1 ? "1 passage" : `${live.citations.length} passages`}` : "Thinking";
  return (
    <p className="flex items-center gap-2.5 text-quiet">
      <span className="size-2 animate-breathe rounded-full bg-accent" aria-hidden="true" />
      {words}…
    </p>
  );
}

function Waiting({ place, below }: { place: number; below: boolean }) {
  return (
    <p className={`flex items-center gap-2.5 text-quiet ${below ? "mt-3" : ""}`}>
      <Hourglass className="size-3.5 shrink-0" aria-hidden="true" />
      Waiting for a model: place {place}
    </p>
  );
}

function Reasoning({ text, thinking }: { text: string; thinking: boolean }) {
  return (
    <details className="group/details mb-3 text-sm text-quiet">
      <summary className="flex w-fit max-w-full cursor-pointer list-none items-center gap-1.5 rounded-md hover:text-ink">
        {thinking && <span className="mx-1 size-2 shrink-0 animate-breathe rounded-full bg-accent" aria-hidden="true" />}
        <span className="shrink-0">{thinking ? "Reasoning…" : "Reasoning"}</span>
        {/* While it thinks, its last line shows that something happens. */}
        {thinking && <span className="min-w-0 truncate text-xs opacity-80 group-open/details:hidden">{lastLine(text)}</span>}
        <ChevronRight className="size-4 shrink-0 transition-transform group-open/details:rotate-90" aria-hidden="true" />
      </summary>
      <div className="mt-1.5 ml-1 max-h-96 overflow-y-auto border-l-2 border-line pl-4 wrap-anywhere whitespace-pre-wrap" tabIndex={0} role="group" aria-label="Reasoning">
        {text}
      </div>
    </details>
  );
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.slice(-160) ?? "";
}

function Sources({ citations, onOpen }: { citations: readonly Citation[]; onOpen: (number: number, at: HTMLElement) => void }) {
  return (
    <section aria-label="Sources" className="mt-5">
      <h3 className="mb-2 text-xs font-medium text-quiet">Sources</h3>
      <ul className="flex flex-wrap gap-2">
        {citations.map((citation) => (
          <li key={citation.number} className="max-w-full">
            <button
              type="button"
              onClick={(event) => onOpen(citation.number, event.currentTarget)}
              className="flex max-w-72 items-center gap-2 rounded-lg border border-line bg-raised py-1.5 pr-3 pl-1.5 text-left text-[0.8125rem] leading-tight transition-colors hover:bg-hover"
            >
              <span className="grid size-5 shrink-0 place-items-center rounded-md bg-accent-soft text-[0.7rem] font-semibold text-accent tabular-nums">
                {citation.number}
              </span>
              <span className="min-w-0">
                <span className="block truncate font-medium">{citation.documentTitle}</span>
                {place(citation) && <span className="block truncate text-xs text-quiet">{place(citation)}</span>}
              </span>
              <QuoteMark citation={citation} />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Whether what the answer quotes from a source stands in it. Nothing where it quotes nothing. */
function QuoteMark({ citation: { quotes } }: { citation: Citation }) {
  if (quotes.length === 0) return null;
  return quotes.every(({ verified }) => verified) ? (
    <BadgeCheck className="size-4 shrink-0 text-accent" aria-label="Quoted word for word" role="img" />
  ) : (
    <TriangleAlert className="size-4 shrink-0 text-warn" aria-label="Holds a quote that is not in the source" role="img" />
  );
}

function place({ documentTitle, heading }: Citation): string {
  return headingWithin(documentTitle, heading);
}
