/** What happens on another device: the page's lists and its open conversation follow it, over as many connections as it takes. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient } from "@parley/client";
import { ChatService } from "@parley/protos/parley/chat/v1/chat_service_pb";
import { MessageSchema, MessageState, Role, type Message } from "@parley/protos/parley/chat/v1/message_pb";
import { SessionSchema, type Session } from "@parley/protos/parley/chat/v1/session_pb";
import { Action, EventSchema, ResourceType, type Event } from "@parley/protos/parley/events/v1/event_pb";
import { EventService } from "@parley/protos/parley/events/v1/event_service_pb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Conversations } from "../src/state/conversations";
import { Live } from "../src/state/live";
import { Sessions } from "../src/state/sessions";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e9, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };

/** A chat in this process, whose events the test makes and whose connections it cuts. */
class Chat {
  sessions: Session[] = [];
  messages: Message[] = [];
  readonly events: Event[] = [];
  readonly after: number[] = [];
  readonly resumed: string[] = [];
  messageReads = 0;
  /** Set to hold the next list of sessions back. */
  held: Promise<void> | undefined;
  refusal: ConnectError | undefined;
  #cuts = 0;
  #wake: (() => void)[] = [];
  #turnEnds: (() => void)[] = [];

  readonly parley = new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) =>
      createRouterTransport(
        ({ service }) => {
          service(EventService, {
            watchEvents: ({ afterSequence }, { signal }) => {
              this.after.push(Number(afterSequence));
              if (this.refusal) throw this.refusal;
              return this.#watch(Number(afterSequence), signal);
            },
          });
          service(ChatService, {
            listSessions: async () => {
              const sessions = [...this.sessions];
              await this.held;
              return { sessions };
            },
            listMessages: () => {
              this.messageReads += 1;
              return { messages: this.messages.toReversed() };
            },
            resumeReply: ({ turnId }, { signal }) => this.#resume(turnId, signal),
          });
        },
        { transport: { interceptors } },
      ),
  });

  tell(init: MessageInitShape<typeof EventSchema>): void {
    this.events.push(create(EventSchema, { ...init, sequence: BigInt(this.events.length + 1) }));
    this.#awake();
  }

  cut(): void {
    this.#cuts += 1;
    this.#awake();
  }

  endTurn(): void {
    for (const end of this.#turnEnds.splice(0)) end();
  }

  #awake(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  async *#watch(after: number, signal: AbortSignal) {
    const cuts = this.#cuts;
    let at = after < 0 ? this.events.length : after;
    yield { sequence: BigInt(at) };
    for (;;) {
      for (; at < this.events.length; at += 1) yield { sequence: BigInt(at + 1), event: this.events[at]! };
      if (this.#cuts !== cuts) throw new ConnectError("cut", Code.Unavailable);
      if (signal.aborted) return;
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  async *#resume(turnId: string, signal: AbortSignal) {
    this.resumed.push(turnId);
    yield { event: { turnId, sequence: 1, firstSequence: 1, event: { case: "delta" as const, value: { text: "Hel" } } } };
    await new Promise<void>((resolve) => {
      this.#turnEnds.push(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const whole = message("answer", ENDED);
    yield { event: { turnId, sequence: 2, firstSequence: 2, event: { case: "completed" as const, value: { message: whole } } } };
  }
}

const session = (name: string, minute: number, more: MessageInitShape<typeof SessionSchema> = {}) =>
  create(SessionSchema, { sessionId: `ses_${name}`, title: name, updateTime: timestampFromMs(minute * 60_000), ...more });

const message = (name: string, more: MessageInitShape<typeof MessageSchema>) =>
  create(MessageSchema, { messageId: `msg_${name}`, sessionId: "ses_1", turnId: "trn_1", ...more });

const question = message("question", { role: Role.USER, state: MessageState.COMPLETED, text: "Hi" });
const begun = message("answer", { role: Role.ASSISTANT, state: MessageState.STREAMING, parentMessageId: "msg_question" });
const ENDED = { role: Role.ASSISTANT, state: MessageState.COMPLETED, parentMessageId: "msg_question", text: "Hello" };

const aboutSession = (action: Action, told: Session): MessageInitShape<typeof EventSchema> => ({
  action,
  resourceType: ResourceType.SESSION,
  resourceId: told.sessionId,
  ...(action === Action.DELETED ? {} : { resource: { case: "session", value: told } }),
});

const aboutMessage = (action: Action, told: Message): MessageInitShape<typeof EventSchema> => ({
  action,
  resourceType: ResourceType.MESSAGE,
  resourceId: told.messageId,
  turnId: told.turnId,
  resource: { case: "message", value: told },
});

function follow(chat: Chat) {
  const live = new Live(chat.parley);
  const sessions = new Sessions(chat.parley);
  const conversations = new Conversations(chat.parley);
  let fresh = 0;
  live.listen({
    onFresh: () => {
      fresh += 1;
    },
    onEvent: (event) => {
      sessions.observe(event);
      if (event.resource.case === "message") conversations.observe(event.resource.value);
    },
  });
  live.open();
  opened.push(live);
  const titles = () => sessions.store.getState().sessions.map(({ title }) => title);
  return { live, sessions, conversations, titles, fresh: () => fresh };
}

const opened: Live[] = [];
beforeEach(() => void vi.useFakeTimers({ shouldAdvanceTime: true, advanceTimeDelta: 200, toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => {
  for (const live of opened.splice(0)) live.close();
  vi.useRealTimers();
});

test("sessions that are made, renamed, moved up and deleted elsewhere are so here", async () => {
  const chat = new Chat();
  chat.sessions = [session("old", 1)];
  const { live, sessions, titles } = follow(chat);
  await sessions.refresh();
  await vi.waitFor(() => expect(live.store.getState().following).toBe(true));
  chat.tell(aboutSession(Action.CREATED, session("new", 2)));
  await vi.waitFor(() => expect(titles()).toEqual(["new", "old"]));
  chat.tell(aboutSession(Action.UPDATED, session("old", 3, { title: "older" })));
  await vi.waitFor(() => expect(titles()).toEqual(["older", "new"]));
  chat.tell(aboutSession(Action.DELETED, session("new", 2)));
  await vi.waitFor(() => expect(titles()).toEqual(["older"]));
});

test("a list that was asked for before something happened does not take it back", async () => {
  const chat = new Chat();
  chat.sessions = [session("gone", 2), session("named", 1)];
  const { live, sessions, titles } = follow(chat);
  await sessions.refresh();
  await vi.waitFor(() => expect(live.store.getState().following).toBe(true));
  let release = () => {};
  chat.held = new Promise((resolve) => (release = resolve));
  const refreshed = sessions.refresh();
  chat.tell(aboutSession(Action.DELETED, session("gone", 2)));
  chat.tell(aboutSession(Action.UPDATED, session("named", 3, { title: "renamed" })));
  chat.tell(aboutSession(Action.CREATED, session("made", 4)));
  await vi.waitFor(() => expect(titles()).toEqual(["made", "renamed"]));
  release();
  await refreshed;
  expect(titles()).toEqual(["made", "renamed"]);
});

test("what happens while the connection is lost is told when it is back, without reading the lists anew", async () => {
  const chat = new Chat();
  const { live, titles, fresh } = follow(chat);
  await vi.waitFor(() => expect(live.store.getState().following).toBe(true));
  chat.tell(aboutSession(Action.CREATED, session("one", 1)));
  await vi.waitFor(() => expect(titles()).toEqual(["one"]));
  chat.cut();
  await vi.waitFor(() => expect(live.store.getState().following).toBe(false));
  chat.tell(aboutSession(Action.CREATED, session("two", 2)));
  await vi.waitFor(() => expect(titles()).toEqual(["two", "one"]));
  expect(chat.after).toEqual([-1, 1]);
  expect(fresh()).toBe(1);
});

test("a page that was hidden goes on where it was; after a long time it reads its lists anew", async () => {
  const chat = new Chat();
  const { live, titles, fresh } = follow(chat);
  await vi.waitFor(() => expect(live.store.getState().following).toBe(true));
  live.close();
  chat.tell(aboutSession(Action.CREATED, session("one", 1)));
  live.open();
  await vi.waitFor(() => expect(titles()).toEqual(["one"]));
  expect(fresh()).toBe(1);
  live.close();
  vi.setSystemTime(Date.now() + 3_600_000);
  live.open();
  await vi.waitFor(() => expect(fresh()).toBe(2));
  expect(chat.after).toEqual([-1, 0, -1]);
});

test("an answer that begins on another device appears here and is followed to its end", async () => {
  const chat = new Chat();
  const { live, conversations } = follow(chat);
  const conversation = conversations.get("ses_1");
  await vi.waitFor(() => expect(conversation.state.loading).toBe(false));
  await vi.waitFor(() => expect(live.store.getState().following).toBe(true));
  chat.messages = [question, begun];
  chat.tell(aboutMessage(Action.CREATED, question));
  chat.tell(aboutMessage(Action.CREATED, begun));
  await vi.waitFor(() => expect(conversation.state.live["msg_answer"]?.text).toBe("Hel"));
  expect(conversation.state.messages.map(({ text }) => text)).toEqual(["Hi", ""]);
  chat.endTurn();
  await vi.waitFor(() => expect(conversation.state.messages.at(-1)?.text).toBe("Hello"));
  expect(chat.resumed).toEqual(["trn_1"]);
  expect(chat.messageReads).toBe(1);
});

test("an answer that began and ended unseen is read with its sources", async () => {
  const chat = new Chat();
  const { live, conversations } = follow(chat);
  const conversation = conversations.get("ses_1");
  await vi.waitFor(() => expect(conversation.state.loading).toBe(false));
  await vi.waitFor(() => expect(live.store.getState().following).toBe(true));
  chat.messages = [question, message("answer", { ...ENDED, citations: [{ number: 1 }] })];
  chat.tell(aboutMessage(Action.UPDATED, message("answer", ENDED)));
  await vi.waitFor(() => expect(conversation.state.messages.at(-1)?.citations).toHaveLength(1));
});

test("a conversation that is not on the screen opens no connection, and is read when it is shown again", async () => {
  const chat = new Chat();
  const { live, conversations } = follow(chat);
  const conversation = conversations.get("ses_1");
  await vi.waitFor(() => expect(conversation.state.loading).toBe(false));
  await vi.waitFor(() => expect(live.store.getState().following).toBe(true));
  conversations.get(undefined);
  chat.messages = [question, begun];
  chat.tell(aboutMessage(Action.CREATED, question));
  chat.tell(aboutMessage(Action.CREATED, begun));
  chat.tell(aboutSession(Action.CREATED, session("later", 1)));
  await vi.waitFor(() => expect(live.store.getState().following).toBe(true));
  expect(chat.resumed).toEqual([]);
  expect(conversations.get("ses_1")).toBe(conversation);
  await vi.waitFor(() => expect(conversation.state.live["msg_answer"]?.text).toBe("Hel"));
});

test("where events are refused, the page stays as it is", async () => {
  const chat = new Chat();
  chat.refusal = new ConnectError("no", Code.PermissionDenied);
  const { live, sessions, titles } = follow(chat);
  chat.sessions = [session("one", 1)];
  await sessions.refresh();
  expect(titles()).toEqual(["one"]);
  await vi.waitFor(() => expect(chat.after).toEqual([-1]));
  expect(live.store.getState().following).toBe(false);
});
