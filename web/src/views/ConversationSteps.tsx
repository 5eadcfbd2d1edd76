/**
 * The messages of a conversation, however many, and the reader's place among them.
 *
 * A long conversation is kept smooth by two means, and by no list that makes and removes rows:
 *
 * - What is far from the screen stands as its bare text until it comes within a screen and a half, and is drawn then, with Markdown, buttons and
 *   sources; what was drawn once stays. Drawing is what costs: 500 messages at once are seconds.
 * - The browser leaves out of layout and painting what is not in sight (`content-visibility`), with a guess of its room (text/room.ts).
 *
 * So all of the text is in the page: the browser's own search finds it, screen readers read it, a selection reaches over it, and nothing has to
 * know how high a row is. A list of rows that come and go can do none of this, and was not smoother in `make bench-page`.
 *
 * Older pages are loaded before the reader comes to the oldest message, and all of them when the browser's search is opened. What is on the screen
 * stays where it is when messages come in above it. A conversation that was left in its middle is shown there again.
 */
import { Component, memo, startTransition, useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode, type RefObject } from "react";
import { useStickToBottomContext } from "use-stick-to-bottom";
import { useStore } from "zustand";
import { Role, type Message, type Route } from "@parley/protos/parley/chat/v1/message_pb";
import { NoticeKind } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { Button } from "../parts/buttons";
import { wordsFor } from "../rpc/errors";
import { tell } from "../state/app";
import type { Conversation, LiveAnswer, Remarks } from "../state/conversation";
import { leaveAt, placeOf, sawIt, sought, type Place } from "../state/places";
import type { Step } from "../text/branches";
import { roomFor } from "../text/room";
import { Alternatives } from "./Alternatives";
import { Answer } from "./Answer";
import { Bubble, Question } from "./Question";

/** So many of the newest are drawn at once: more than any screen shows. */
const NEWEST = 12;
/** And so many on both sides of the one that a conversation is shown at. */
const AROUND = 6;
/** How far from the screen a message is drawn, in heights of the screen. */
const NEAR = "150%";
/** How far before its beginning the next older page is asked for. */
const OLDER_NEAR = "250%";
/** Where a message that was looked for is put, pixels below the upper edge. */
const SOUGHT_OFFSET = 24;
/** At most so many pages are loaded for a search. */
const PAGES_TO_SEARCH = 50;

/** Tells elements when they come near the screen, once each: one in a frame, the last that came first, as that is where the reader goes. */
class Approach {
  readonly #scroller: RefObject<HTMLElement | null>;
  readonly #watched = new Map<Element, () => void>();
  readonly #came: Element[] = [];
  #observer: IntersectionObserver | undefined;
  #frame: number | undefined;

  constructor(scroller: RefObject<HTMLElement | null>) {
    this.#scroller = scroller;
  }

  watch(element: Element, onNear: () => void): () => void {
    // Not made before the scroller is there: the margin is its own.
    this.#observer ??= new IntersectionObserver((entries) => this.#take(entries), { root: this.#scroller.current, rootMargin: `${NEAR} 0px` });
    this.#watched.set(element, onNear);
    this.#observer.observe(element);
    return () => this.#forget(element);
  }

  #take(entries: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      this.#observer?.unobserve(target);
      this.#came.push(target);
    }
    this.#frame ??= requestAnimationFrame(() => this.#tell());
  }

  #tell(): void {
    this.#frame = undefined;
    let onNear: (() => void) | undefined;
    // What is gone by now is told nothing.
    while (!onNear && this.#came.length > 0) onNear = this.#watched.get(this.#came.pop()!);
    onNear?.();
    if (this.#came.length > 0) this.#frame = requestAnimationFrame(() => this.#tell());
  }

  #forget(element: Element): void {
    this.#watched.delete(element);
    this.#observer?.unobserve(element);
  }
}

interface ConversationStepsProps {
  conversation: Conversation;
  /** What is on the screen of it, oldest first. */
  steps: readonly Step<Message>[];
  /** Whether a message is on its way. */
  sending: boolean;
  route: Route;
}

export function ConversationSteps({ conversation, steps, sending, route }: ConversationStepsProps) {
  const { live, remarks } = useStore(conversation.store);
  const { scrollRef } = useStickToBottomContext();
  const approach = useMemo(() => new Approach(scrollRef), [scrollRef]);
  const perLine = useMemo(() => (innerWidth < 640 ? 42 : 85), []);
  const wanted = useStore(sought, (state) => state.wanted?.messageId);
  const begin = useMemo(() => steps.findIndex(({ message }) => message.messageId === placeOf(conversation.key)?.messageId), [steps, conversation]);
  const mark = useRef<HTMLSpanElement>(null);
  usePlace(conversation, mark);
  useSought(conversation, steps, scrollRef);
  const isNear = (index: number, messageId: string) =>
    index >= steps.length - NEWEST || messageId === wanted || (begin >= 0 && Math.abs(index - begin) <= AROUND);
  const firstOffline = steps.find(({ message }) => remarks[message.messageId]?.notices.some(({ kind }) => kind === NoticeKind.OFFLINE_MODEL));
  return (
    <>
      <span ref={mark} hidden />
      <Older conversation={conversation} scroller={scrollRef} />
      <KeepsPlace first={steps[0]?.message.messageId} scroller={scrollRef}>
        {steps.map((step, index) => (
          <StepView
            key={step.message.messageId}
            step={step}
            question={steps[index - 1]?.message}
            live={live[step.message.messageId]}
            remarks={remarks[step.message.messageId]}
            offlineTold={firstOffline !== undefined && firstOffline !== step}
            sending={sending}
            route={route}
            conversation={conversation}
            near={isNear(index, step.message.messageId)}
            whole={index >= steps.length - NEWEST}
            approach={approach}
            perLine={perLine}
          />
        ))}
      </KeepsPlace>
    </>
  );
}

interface StepViewProps extends StepDrawnProps {
  /** Whether it is drawn from the beginning. */
  near: boolean;
  /** Whether the browser must not leave it out: what is on the screen, and grows, would move for a moment. */
  whole: boolean;
  approach: Approach;
  /** How many letters are guessed to be in a line. */
  perLine: number;
}

/** One message: itself when the reader is, or was, near it, else its bare text. Made anew only when something of its own changes: while an answer
 * grows, the ones above it rest. */
const StepView = memo(function StepView({ near, whole, approach, perLine, ...props }: StepViewProps) {
  const { message } = props.step;
  const element = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState(near);
  if (near && !drawn) setDrawn(true);
  useEffect(() => {
    if (drawn || !element.current) return undefined;
    // In pieces, between frames: the reader scrolls.
    return approach.watch(element.current, () => startTransition(() => setDrawn(true)));
  }, [approach, drawn]);
  const room = useMemo(() => `auto ${roomFor(message.text, perLine)}px`, [message.text, perLine]);
  return (
    <div
      ref={element}
      data-message={message.messageId}
      // The browser cuts off what stands out of what it may leave out: rings of focus, a row of buttons. So there is room around it, taken back outside.
      className={`-mx-4 -mt-2 -mb-4 px-4 pt-2 pb-4 ${whole || props.live ? "" : "[content-visibility:auto]"}`}
      style={{ containIntrinsicBlockSize: room }}
    >
      {drawn ? <StepDrawn {...props} /> : <Bare message={message} />}
    </div>
  );
});

interface StepDrawnProps {
  step: Step<Message>;
  /** The message before it. */
  question: Message | undefined;
  live: LiveAnswer | undefined;
  remarks: Remarks | undefined;
  offlineTold: boolean;
  sending: boolean;
  route: Route;
  conversation: Conversation;
}

function StepDrawn({ step, question, live, remarks, offlineTold, sending, route, conversation }: StepDrawnProps) {
  const { message } = step;
  const alternatives = <Alternatives step={step} onChoose={(chosen) => conversation.choose(chosen)} />;
  if (message.role === Role.USER) {
    return (
      <Question
        message={message}
        alternatives={alternatives}
        onEdit={!sending ? (text) => conversation.send(text.trim(), route, message.parentMessageId) : undefined}
      />
    );
  }
  const canAskAgain = !sending && question !== undefined;
  return (
    <Answer
      message={message}
      live={live}
      remarks={remarks}
      offlineTold={offlineTold}
      alternatives={alternatives}
      onAskAgain={canAskAgain ? () => conversation.askAgain(message, route) : undefined}
      onReconnect={() => conversation.reconnect(message.messageId)}
    />
  );
}

function Bare({ message }: { message: Message }) {
  if (message.role === Role.USER) {
    return (
      <div className="flex flex-col items-end pb-4">
        <Bubble>{message.text}</Bubble>
      </div>
    );
  }
  return (
    <article aria-label="Answer">
      <div className="markdown text-[1rem] whitespace-pre-wrap">{message.text}</div>
    </article>
  );
}

/** Loads the page before the oldest message when the reader comes near it, and all pages when they are about to search. */
function Older({ conversation, scroller }: { conversation: Conversation; scroller: RefObject<HTMLElement | null> }) {
  const { olderToken, loadingOlder } = useStore(conversation.store);
  const button = useRef<HTMLButtonElement>(null);
  const load = () => void conversation.loadOlder().catch((error: unknown) => tell(wordsFor(error)));
  useEffect(() => {
    const element = button.current;
    if (!element || !olderToken) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && load(), { root: scroller.current, rootMargin: `${OLDER_NEAR} 0px` });
    observer.observe(element);
    return () => observer.disconnect();
    // A page that could not be loaded is not asked for again by itself: the token is the same then.
  }, [olderToken]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "f" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
      void loadUntil(conversation, () => false).catch((error: unknown) => tell(wordsFor(error)));
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [conversation]);
  if (!olderToken) return null;
  return (
    <Button ref={button} className="self-center" disabled={loadingOlder} onClick={load}>
      {loadingOlder ? "Loading…" : "Show earlier messages"}
    </Button>
  );
}

/** Loads older pages until there is what is wanted, or no more of them. */
async function loadUntil(conversation: Conversation, enough: () => boolean): Promise<void> {
  for (let page = 0; page < PAGES_TO_SEARCH && conversation.state.olderToken && !conversation.state.loadingOlder && !enough(); page += 1) {
    await conversation.loadOlder();
  }
}

/** Shows a conversation where it was left, and remembers where it is left. `mark` is an element in it. */
function usePlace(conversation: Conversation, mark: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    // React has not told who the scroller is by now, and after the next frame it would be seen to jump.
    const element = mark.current?.closest<HTMLElement>("[role=log]")?.parentElement;
    const place = placeOf(conversation.key);
    // At its end before anything looks where it is: what is there at its beginning is not near.
    if (element) element.scrollTop = element.scrollHeight;
    if (element && place) goTo(element, place);
    return () => {
      const atEnd = !element || element.scrollHeight - element.clientHeight - element.scrollTop < 80;
      leaveAt(conversation.key, atEnd ? undefined : placeIn(element));
    };
  }, [conversation, mark]);
}

/** Goes to the message that was looked for, and loads what is older until it is there. */
function useSought(conversation: Conversation, steps: readonly Step<Message>[], scroller: RefObject<HTMLElement | null>): void {
  const wanted = useStore(sought, (state) => state.wanted);
  const { stopScroll } = useStickToBottomContext();
  const found = steps.some(({ message }) => message.messageId === wanted?.messageId);
  const begun = steps.length > 0;
  useEffect(() => {
    if (!wanted || !begun) return;
    if (found && scroller.current) {
      stopScroll();
      goTo(scroller.current, { messageId: wanted.messageId, offset: SOUGHT_OFFSET });
      return sawIt();
    }
    // What is on another branch is not on the screen, and is not found here.
    const has = () => conversation.state.messages.some(({ messageId }) => messageId === wanted.messageId);
    loadUntil(conversation, has)
      .catch((error: unknown) => tell(wordsFor(error)))
      .finally(() => !conversation.steps().some(({ message }) => message.messageId === wanted.messageId) && sawIt());
  }, [wanted, found, begun]);
}

function goTo(scroller: HTMLElement, { messageId, offset }: Place): void {
  const element = scroller.querySelector(`[data-message="${CSS.escape(messageId)}"]`);
  if (element) scroller.scrollTop += element.getBoundingClientRect().top - scroller.getBoundingClientRect().top - offset;
}

/** The first message in sight. */
function firstInSight(scroller: HTMLElement): { element: HTMLElement; offset: number } | undefined {
  const { top } = scroller.getBoundingClientRect();
  for (const element of scroller.querySelectorAll<HTMLElement>("[data-message]")) {
    const box = element.getBoundingClientRect();
    if (box.bottom > top) return { element, offset: box.top - top };
  }
  return undefined;
}

function placeIn(scroller: HTMLElement): Place | undefined {
  const first = firstInSight(scroller);
  return first && { messageId: first.element.dataset["message"] ?? "", offset: first.offset };
}

interface KeepsPlaceProps {
  /** The first message: another one when some come in above it. */
  first: string | undefined;
  scroller: RefObject<HTMLElement | null>;
  children: ReactNode;
}

/** Keeps what is on the screen where it is while messages come in above it, also where the browser does not. A class: only one can look before a change. */
class KeepsPlace extends Component<KeepsPlaceProps> {
  override getSnapshotBeforeUpdate(before: KeepsPlaceProps) {
    const { first, scroller } = this.props;
    const changed = before.first !== undefined && before.first !== first;
    return changed && scroller.current ? (firstInSight(scroller.current) ?? null) : null;
  }

  override componentDidUpdate(props: KeepsPlaceProps, _state: unknown, before: ReturnType<typeof firstInSight> | null) {
    const scroller = this.props.scroller.current;
    // The first that are there are shown at their end.
    if (scroller && props.first === undefined && this.props.first !== undefined) scroller.scrollTop = scroller.scrollHeight;
    if (!before?.element.isConnected || !scroller) return;
    const now = before.element.getBoundingClientRect().top - scroller.getBoundingClientRect().top;
    if (now !== before.offset) scroller.scrollTop += now - before.offset;
  }

  override render() {
    return this.props.children;
  }
}
