/**
 * One conversation: its messages, the turns that run in it, and what is on its way to the server.
 *
 * Knows nothing of the page: a component subscribes to `store` and calls the methods. Turns go on being followed while another
 * conversation is on the screen.
 */
import { create } from "@bufbuild/protobuf";
import { newClientMessageId, toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { MessageSchema, MessageState, Role, Route, type Message } from "@parley/protos/parley/chat/v1/message_pb";
import type { TurnEvent } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { createStore, type StoreApi } from "zustand/vanilla";
import { routeFor } from "../text/attachments";
import { branch, type Step } from "../text/branches";
import { emptyAnswer, NO_REMARKS, writeAnswer, type AnswerSheet, type LiveAnswer, type Remarks } from "./turnEvents";

export type { LiveAnswer, Remarks } from "./turnEvents";

/** A message that the server has not confirmed. */
export interface Outgoing {
  readonly clientMessageId: string;
  readonly text: string;
  readonly parentMessageId: string;
  readonly route: Route;
  /** The model or alias that is to answer. The route's when empty. */
  readonly model: string;
  readonly reconnecting: boolean;
  /** Set when sending failed: it can be repeated under the same name. */
  readonly error?: ParleyError;
}

export interface ConversationState {
  readonly sessionId: string | undefined;
  readonly loading: boolean;
  readonly loadError: ParleyError | undefined;
  /** The loaded messages, all branches, oldest first. */
  readonly messages: readonly Message[];
  /** Asks for older messages. Empty when there are none. */
  readonly olderToken: string;
  readonly loadingOlder: boolean;
  readonly live: Readonly<Record<string, LiveAnswer>>;
  readonly remarks: Readonly<Record<string, Remarks>>;
  readonly outgoing: Outgoing | undefined;
  readonly chosen: ReadonlyMap<string, string>;
  /** What is typed and not sent. */
  readonly draft: string;
  /** The files that go with it, by their keys in `documents.ts`. */
  readonly attached: readonly string[];
}

/** Who has to know what happens in a conversation. */
export interface ConversationListener {
  /** The project that a new session is to belong to. None when absent or empty. */
  projectId?(): string;
  /** The model or alias that is to answer. The route's when absent or empty. */
  model?(): string;
  /** A turn started; the first of a new conversation tells its session. */
  onStarted?(conversation: Conversation, sessionId: string): void;
  /** A turn ended, or something else changed that lists of sessions show. */
  onChanged?(conversation: Conversation): void;
}

const PAGE_SIZE = 100;
let keys = 0;

export class Conversation {
  /** Names this object in the page. Stays when the session gets its id. */
  readonly key = `conversation-${(keys += 1)}`;
  readonly store: StoreApi<ConversationState>;
  readonly #parley: ParleyClient;
  readonly #listener: ConversationListener;
  readonly #following = new Map<string, AbortController>();
  /** Answers whose events are no longer to be had: only the stored message can tell how they ended. */
  readonly #gone = new Set<string>();
  /** Turns that a message on its way has started: its own stream will tell of them. */
  readonly #own = new Set<string>();
  #sending: AbortController | undefined;
  #loadingSoon = false;
  #loadAgain = false;

  constructor(parley: ParleyClient, sessionId?: string, listener: ConversationListener = {}) {
    this.#parley = parley;
    this.#listener = listener;
    this.store = createStore<ConversationState>(() => ({
      sessionId,
      loading: sessionId !== undefined,
      loadError: undefined,
      messages: [],
      olderToken: "",
      loadingOlder: false,
      live: {},
      remarks: {},
      outgoing: undefined,
      chosen: new Map(),
      draft: "",
      attached: [],
    }));
  }

  get state(): ConversationState {
    return this.store.getState();
  }

  /** The branch on the screen, oldest message first. */
  steps(): Step<Message>[] {
    return branch(this.state.messages, this.state.chosen);
  }

  /** Loads the newest messages and takes up the turns that run. Again, it merges what other doors have added. */
  async load(): Promise<void> {
    const { sessionId } = this.state;
    if (sessionId === undefined) return;
    this.#set({ loading: true, loadError: undefined });
    try {
      const page = await this.#parley.chat.listMessages({ sessionId, pageSize: PAGE_SIZE });
      const first = this.state.messages.length === 0;
      this.#merge(page.messages.toReversed());
      this.#set({ loading: false, ...(first ? { olderToken: page.nextPageToken } : {}) });
      this.#followRunning();
    } catch (thrown) {
      this.#set({ loading: false, loadError: toParleyError(thrown) });
    }
  }

  /** Shows a message that was stored, on this device or another. An answer that has just begun is followed. */
  observe(message: Message): void {
    const { messageId, turnId, clientMessageId, state, role } = message;
    const { outgoing, messages, live, loading } = this.state;
    if (role === Role.USER && outgoing && clientMessageId === outgoing.clientMessageId) {
      // What is on its way is told by its own stream. When that was lost, this is how it ended: it has arrived.
      if (!outgoing.error) return void this.#own.add(turnId);
      this.#set({ outgoing: undefined });
    }
    const known = messages.find((each) => each.messageId === messageId);
    if ((outgoing && this.#own.has(turnId)) || this.#following.has(messageId)) return;
    if (live[messageId] && !live[messageId].error) return;
    if (known && known.state !== MessageState.STREAMING) return;
    // An event leaves out the sources and the tools of an answer that has ended, and a long text.
    const whole = role === Role.USER ? message.text !== "" : state === MessageState.STREAMING;
    const follows = messages.length === 0 || messages.some((each) => each.messageId === message.parentMessageId);
    if (!whole || !follows || loading) return this.#loadSoon();
    this.#merge([message]);
    this.#followRunning();
  }

  /** Loads what is new, once for all that asks for it while it is on its way. */
  #loadSoon(): void {
    if (this.#loadingSoon) {
      this.#loadAgain = true;
      return;
    }
    this.#loadingSoon = true;
    void this.load().finally(() => {
      this.#loadingSoon = false;
      if (!this.#loadAgain) return;
      this.#loadAgain = false;
      this.#loadSoon();
    });
  }

  /** Loads the page before the oldest loaded message. */
  async loadOlder(): Promise<void> {
    const { sessionId, olderToken, loadingOlder } = this.state;
    if (sessionId === undefined || olderToken === "" || loadingOlder) return;
    this.#set({ loadingOlder: true });
    try {
      const page = await this.#parley.chat.listMessages({ sessionId, pageSize: PAGE_SIZE, pageToken: olderToken });
      const known = new Set(this.state.messages.map(({ messageId }) => messageId));
      const older = page.messages.toReversed().filter(({ messageId }) => !known.has(messageId));
      this.#set({ messages: [...older, ...this.state.messages], olderToken: page.nextPageToken, loadingOlder: false });
    } catch (thrown) {
      this.#set({ loadingOlder: false });
      throw toParleyError(thrown);
    }
  }

  type(draft: string): void {
    this.#set({ draft });
  }

  /** Puts files beside what is typed, by their keys. */
  attach(keys: readonly string[]): void {
    this.#set({ attached: [...this.state.attached, ...keys] });
  }

  /** Takes files from beside what is typed; all when none is named. */
  detach(key?: string): void {
    this.#set({ attached: key === undefined ? [] : this.state.attached.filter((each) => each !== key) });
  }

  /**
   * Sends a message and follows its answer.
   *
   * @param parentMessageId the message that it follows; the last one on the screen when absent. A parent that has answers gets an alternative.
   */
  send(text: string, route: Route, parentMessageId = this.steps().at(-1)?.message.messageId ?? ""): void {
    if (this.state.outgoing && !this.state.outgoing.error) return;
    const model = this.#listener.model?.() ?? "";
    void this.#deliver({ clientMessageId: newClientMessageId(), text, parentMessageId, route: routeFor(text, route), model, reconnecting: false });
  }

  /** Sends the message that failed once more, under the same name: if it did arrive, this finds its answer. */
  sendAgain(): void {
    const { outgoing } = this.state;
    if (!outgoing?.error) return;
    const { error: _, ...again } = outgoing;
    void this.#deliver(again);
  }

  /** Gives up a message that is not confirmed and puts its text back into the composer. */
  takeBack(): void {
    const { outgoing, draft } = this.state;
    if (!outgoing) return;
    this.#sending?.abort(new Error("Taken back."));
    this.#set({ outgoing: undefined, draft: draft || outgoing.text });
  }

  /** Asks the question of an answer once more, as an alternative to it. */
  askAgain(answer: Message, route: Route): void {
    const question = this.state.messages.find(({ messageId }) => messageId === answer.parentMessageId);
    if (question) this.send(question.text, route, question.parentMessageId);
  }

  /** Shows another of the messages with the same parent. */
  choose(message: Message): void {
    this.#set({ chosen: new Map(this.state.chosen).set(message.parentMessageId, message.messageId) });
  }

  /** Stops an answer. Throws ParleyError when the server could not be told. */
  async stop(messageId: string): Promise<void> {
    const live = this.state.live[messageId];
    if (!live || live.stopping) return;
    this.#setLive(messageId, { stopping: true });
    try {
      const { message } = await this.#parley.stopReply(live.turnId);
      if (message) this.#end(messageId, message);
    } catch (thrown) {
      this.#setLive(messageId, { stopping: false });
      throw toParleyError(thrown);
    }
  }

  /** Follows an answer again after following it failed. */
  reconnect(messageId: string): void {
    const message = this.state.messages.find((candidate) => candidate.messageId === messageId);
    this.#gone.delete(messageId);
    this.#set({ live: without(this.state.live, messageId) });
    if (message) this.#follow(message);
  }

  /** Ends every connection. The turns go on. */
  close(): void {
    this.#sending?.abort(new Error("Closed."));
    for (const controller of this.#following.values()) controller.abort(new Error("Closed."));
  }

  async #deliver(outgoing: Outgoing): Promise<void> {
    const controller = new AbortController();
    this.#sending = controller;
    // What is sent is what the reader wants to see, whatever they had switched to below its parent.
    const chosen = new Map(this.state.chosen);
    chosen.delete(outgoing.parentMessageId);
    this.#set({ outgoing, chosen });

    let answerId: string | undefined;
    const events = this.#parley.streamReply(
      {
        message: outgoing.text,
        sessionId: this.state.sessionId ?? "",
        projectId: this.state.sessionId === undefined ? (this.#listener.projectId?.() ?? "") : "",
        clientMessageId: outgoing.clientMessageId,
        route: outgoing.route,
        model: outgoing.model,
        parentMessageId: outgoing.parentMessageId,
        // A person in front of a page would rather wait than ask again; Stop works meanwhile.
        queueWhenUnavailable: true,
        timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      },
      {
        signal: controller.signal,
        maxFailures: Number.POSITIVE_INFINITY,
        onConnection: ({ state }) => {
          const reconnecting = state === "reconnecting";
          if (answerId) this.#setLive(answerId, { reconnecting });
          else if (this.state.outgoing) this.#set({ outgoing: { ...this.state.outgoing, reconnecting } });
        },
      },
    );
    try {
      await writeAnswer(events, (event) => {
        answerId = this.#started(outgoing, event);
        this.#sending = undefined;
        this.#following.set(answerId, controller);
        return this.#sheet(answerId);
      });
    } catch (thrown) {
      if (controller.signal.aborted) return;
      const error = toParleyError(thrown);
      if (answerId) this.#lost(answerId, error);
      else this.#set({ outgoing: { ...outgoing, reconnecting: false, error } });
    } finally {
      if (answerId) this.#following.delete(answerId);
    }
  }

  /** Puts the question and the empty answer into the tree. */
  #started(outgoing: Outgoing, event: TurnEvent): string {
    if (event.event.case !== "started") throw new Error("A turn begins with its start.");
    const { sessionId, userMessageId, messageId, traceId } = event.event.value;
    this.#own.delete(event.turnId);
    const question = create(MessageSchema, {
      messageId: userMessageId,
      sessionId,
      parentMessageId: outgoing.parentMessageId,
      role: Role.USER,
      text: outgoing.text,
      state: MessageState.COMPLETED,
      createTime: timestampNow(),
      turnId: event.turnId,
      clientMessageId: outgoing.clientMessageId,
    });
    const answer = create(MessageSchema, {
      messageId,
      sessionId,
      parentMessageId: userMessageId,
      role: Role.ASSISTANT,
      state: MessageState.STREAMING,
      createTime: timestampNow(),
      turnId: event.turnId,
      traceId,
    });
    this.#set({ sessionId, outgoing: undefined });
    this.#merge([question, answer]);
    this.#begin(answer);
    this.#listener.onStarted?.(this, sessionId);
    return messageId;
  }

  #followRunning(): void {
    for (const message of this.state.messages) {
      const { messageId } = message;
      if (message.state === MessageState.STREAMING && !this.#following.has(messageId) && !this.#gone.has(messageId)) this.#follow(message);
    }
  }

  #follow(message: Message): void {
    const { messageId, turnId } = message;
    const controller = new AbortController();
    this.#following.set(messageId, controller);
    this.#begin(message);
    const events = this.#parley.resumeReply(turnId, 0, {
      signal: controller.signal,
      maxFailures: Number.POSITIVE_INFINITY,
      onConnection: ({ state }) => this.#setLive(messageId, { reconnecting: state === "reconnecting" }),
    });
    void writeAnswer(events, () => this.#sheet(messageId))
      .catch((thrown: unknown) => {
        if (!controller.signal.aborted) this.#lost(messageId, toParleyError(thrown));
      })
      .finally(() => this.#following.delete(messageId));
  }

  /** Where an answer of this conversation is kept while it grows. */
  #sheet(messageId: string): AnswerSheet {
    return {
      live: (change) => this.#setLive(messageId, change),
      message: (change) => this.#update(messageId, change),
      remark: (change) => this.#set({ remarks: { ...this.state.remarks, [messageId]: change(this.state.remarks[messageId] ?? NO_REMARKS) } }),
      end: (stored) => this.#end(messageId, stored),
    };
  }

  #begin(answer: Message): void {
    const { messageId, turnId } = answer;
    this.#set({ live: { ...this.state.live, [messageId]: emptyAnswer(turnId) }, remarks: without(this.state.remarks, messageId) });
  }

  /** Following an answer was refused. Its end may be stored by now: then that is what is shown. */
  #lost(messageId: string, error: ParleyError): void {
    this.#gone.add(messageId);
    this.#setLive(messageId, { error, reconnecting: false });
    void this.load();
  }

  /** Puts the stored answer in the place of the growing one. */
  #end(messageId: string, stored: Message | undefined): void {
    const live = this.state.live[messageId];
    if (stored) this.#update(messageId, () => stored);
    this.#set({ live: without(this.state.live, messageId) });
    if (live) this.#listener.onChanged?.(this);
    if (!stored) void this.load();
  }

  #merge(incoming: readonly Message[]): void {
    const fresh = new Map(incoming.map((message) => [message.messageId, message]));
    const kept = this.state.messages.map((message) => {
      const update = fresh.get(message.messageId);
      fresh.delete(message.messageId);
      // A page that was asked for before the answer ended must not take its end back.
      const stale = update?.state === MessageState.STREAMING && message.state !== MessageState.STREAMING;
      return update && !stale ? update : message;
    });
    const messages = [...kept, ...fresh.values()];
    // An answer that has ended has nothing more to follow.
    const ended = messages.filter(({ messageId, state }) => state !== MessageState.STREAMING && this.state.live[messageId]?.error);
    this.#set({ messages, ...(ended.length > 0 ? { live: ended.reduce((live, { messageId }) => without(live, messageId), this.state.live) } : {}) });
  }

  #update(messageId: string, change: (message: Message) => Message): void {
    this.#set({ messages: this.state.messages.map((message) => (message.messageId === messageId ? change(message) : message)) });
  }

  #setLive(messageId: string, change: Partial<LiveAnswer>): void {
    const live = this.state.live[messageId];
    if (live) this.#set({ live: { ...this.state.live, [messageId]: { ...live, ...change } } });
  }

  #set(change: Partial<ConversationState>): void {
    this.store.setState(change);
  }
}

function without<T>(record: Readonly<Record<string, T>>, key: string): Record<string, T> {
  const { [key]: _, ...rest } = record;
  return rest;
}
