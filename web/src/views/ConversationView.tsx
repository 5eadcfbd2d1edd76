/** A conversation on the screen. */
import { ArrowDown } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { StickToBottom, useStickToBottomContext } from "use-stick-to-bottom";
import { useStore } from "zustand";
import { Role, Route } from "@parley/protos/parley/chat/v1/message_pb";
import { Button, IconButton } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { isMissing, mayHelpToRepeat, wordsFor } from "../rpc/errors";
import { navigation, tell } from "../state/app";
import type { Conversation, Outgoing } from "../state/conversation";
import { placeOf } from "../state/places";
import { branch } from "../text/branches";
import { Composer } from "./Composer";
import { ConversationSteps } from "./ConversationSteps";
import { Bubble } from "./Question";
import { Suggestions } from "./Suggestions";
import { Welcome } from "./Welcome";

export function ConversationView({ conversation }: { conversation: Conversation }) {
  const state = useStore(conversation.store);
  const [route, setRoute] = useRoute();
  const steps = useMemo(() => branch(state.messages, state.chosen), [state.messages, state.chosen]);
  const shownLive = steps.flatMap(({ message }) => (state.live[message.messageId] ? [message.messageId] : []));
  const outgoing = state.outgoing;
  const sending = outgoing !== undefined && !outgoing.error;
  const reconnecting = (sending && outgoing.reconnecting) || shownLive.some((messageId) => state.live[messageId]?.reconnecting);
  const lost = useLasting(reconnecting, 700);
  const isNew = state.sessionId === undefined && !outgoing;

  const send = (text: string) => conversation.send(text, route);
  const stop = () => {
    if (sending) return conversation.takeBack();
    for (const messageId of shownLive) conversation.stop(messageId).catch((error: unknown) => tell(wordsFor(error)));
  };

  const composer = (
    <Composer
      conversation={conversation}
      route={route}
      onRoute={setRoute}
      busy={sending || shownLive.some((messageId) => !state.live[messageId]?.error)}
      stopping={shownLive.some((messageId) => state.live[messageId]?.stopping)}
      onStop={stop}
    />
  );

  if (isNew) return <Welcome composer={composer} onAsk={(question) => send(question)} />;
  if (state.loadError && steps.length === 0) {
    return <Missing error={state.loadError} onRetry={() => void conversation.load()} />;
  }

  // A message that is on its way hides the alternative that it will stand beside.
  const parentIndex = outgoing ? steps.findIndex(({ message }) => message.messageId === outgoing.parentMessageId) : -1;
  const shown = outgoing && parentIndex >= 0 ? steps.slice(0, parentIndex + 1) : steps;

  const last = shown.at(-1)?.message;
  // Suggestions follow from the newest message, whichever branch is on the screen.
  const isTip = last !== undefined && last.messageId === state.messages.at(-1)?.messageId;
  const suggests = isTip && last.role === Role.ASSISTANT && !outgoing && !state.live[last.messageId];

  return (
    <StickToBottom
      className="relative flex min-h-0 flex-1 flex-col"
      resize="smooth"
      // One that was left in its middle is shown there.
      initial={placeOf(conversation.key) ? false : "instant"}
    >
      <StickToBottom.Content
        scrollClassName="overflow-auto [scrollbar-gutter:stable_both-edges]"
        className="mx-auto flex w-full max-w-3xl flex-col gap-7 px-4 pt-6 pb-10 sm:px-6"
        role="log"
        aria-label="Conversation"
      >
        {state.loading && steps.length === 0 && !outgoing && <Skeleton />}
        <ConversationSteps conversation={conversation} steps={shown} sending={sending} route={route} />
        {suggests && <Suggestions sessionId={last.sessionId} tipMessageId={last.messageId} onAsk={send} />}
        {outgoing && <OnItsWay outgoing={outgoing} onAgain={() => conversation.sendAgain()} onBack={() => conversation.takeBack()} />}
      </StickToBottom.Content>
      <div className="relative mx-auto w-full max-w-3xl px-3 pb-[max(0.75rem,env(safe-area-inset-bottom))] sm:px-6 sm:pb-4">
        <ToTheEnd />
        {lost && (
          <div className="absolute inset-x-3 bottom-full mb-2 animate-rise rounded-xl shadow-float sm:inset-x-6">
            <Notice kind="lost">Connection lost, reconnecting…</Notice>
          </div>
        )}
        {composer}
      </div>
    </StickToBottom>
  );
}

function OnItsWay({ outgoing, onAgain, onBack }: { outgoing: Outgoing; onAgain: () => void; onBack: () => void }) {
  return (
    <div>
      <div className="flex flex-col items-end">
        <Bubble faint={!outgoing.error}>{outgoing.text}</Bubble>
      </div>
      {outgoing.error && (
        <div className="mt-3">
          <Notice
            kind="bad"
            urgent
            action={
              <div className="-my-0.5 flex flex-wrap justify-end gap-2">
                <Button className="min-h-7 px-2.5 py-0.5" onClick={onBack}>
                  Edit
                </Button>
                <Button className="min-h-7 px-2.5 py-0.5" onClick={onAgain}>
                  {mayHelpToRepeat(outgoing.error) ? "Try again" : "Send again"}
                </Button>
              </div>
            }
          >
            {wordsFor(outgoing.error)}
          </Notice>
        </div>
      )}
    </div>
  );
}

function ToTheEnd() {
  const { isAtBottom, scrollToBottom } = useStickToBottomContext();
  if (isAtBottom) return null;
  return (
    <IconButton
      label="To the newest message"
      onClick={() => void scrollToBottom()}
      className="absolute -top-12 left-1/2 -translate-x-1/2 animate-rise rounded-full border border-line bg-raised shadow-float"
    >
      <ArrowDown className="size-4" />
    </IconButton>
  );
}

function Missing({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  const missing = isMissing(error);
  return (
    <div className="grid flex-1 place-content-center gap-4 px-6 text-center">
      <h1 className="font-serif text-2xl">{missing ? "There is no such conversation" : "This conversation can't be loaded"}</h1>
      <p className="max-w-md text-quiet">{missing ? "It may have been deleted, or it isn't yours." : wordsFor(error)}</p>
      <div className="flex justify-center gap-2">
        {!missing && <Button onClick={onRetry}>Try again</Button>}
        <Button look="accent" onClick={() => navigation.go("/")}>
          New chat
        </Button>
      </div>
    </div>
  );
}

function Skeleton() {
  return (
    <div className="animate-breathe space-y-8" aria-label="Loading">
      <div className="ml-auto h-11 w-2/5 rounded-2xl bg-hover" />
      <div className="space-y-3">
        <div className="h-4 w-11/12 rounded bg-hover" />
        <div className="h-4 w-full rounded bg-hover" />
        <div className="h-4 w-3/5 rounded bg-hover" />
      </div>
    </div>
  );
}

/** True once the value has been true for some time: what is over in a blink need not be told. */
function useLasting(value: boolean, milliseconds: number): boolean {
  const [lasting, setLasting] = useState(false);
  useEffect(() => {
    if (!value) return setLasting(false);
    const timer = setTimeout(() => setLasting(true), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return value && lasting;
}

const ROUTE_KEY = "parley.route";

/** The route that was chosen last, kept in this browser. */
function useRoute(): [Route, (route: Route) => void] {
  const [route, setRoute] = useState<Route>(() => {
    try {
      const kept = Number(localStorage.getItem(ROUTE_KEY));
      return [Route.STANDARD, Route.ENHANCED].includes(kept) ? (kept as Route) : Route.AUTOMATIC;
    } catch {
      return Route.AUTOMATIC;
    }
  });
  useEffect(() => {
    try {
      localStorage.setItem(ROUTE_KEY, String(route));
    } catch {
      // Storage is blocked: the choice lasts until the page is closed.
    }
  }, [route]);
  return [route, setRoute];
}
