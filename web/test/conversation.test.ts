import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient } from "@parley/client";
import { ErrorInfoSchema } from "@parley/protos/google/rpc/error_details_pb";
import { ChatService, type StreamReplyRequest } from "@parley/protos/parley/chat/v1/chat_service_pb";
import { MessageSchema, MessageState, Role, Route, type Message } from "@parley/protos/parley/chat/v1/message_pb";
import { BudgetMeasure, BudgetPeriod } from "@parley/protos/parley/budget/v1/budget_pb";
import { ToolApprovalState, ToolEffect } from "@parley/protos/parley/chat/v1/tool_pb";
import { NoticeKind, TurnEventSchema, type TurnEvent } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { beforeEach, expect, test, vi } from "vitest";
import { wordsForNotice } from "../src/rpc/errors";
import { Conversation, type ConversationState } from "../src/state/conversation";
import { wordsForBudget } from "../src/text/budgets";

type Init = NonNullable<Parameters<typeof create<typeof TurnEventSchema>>[1]>["event"];

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };

/** A chat in this process: the test pushes the events of its turns, and cuts the connections that read them. */
class Chat {
  readonly requests: StreamReplyRequest[] = [];
  readonly resumed: number[] = [];
  readonly stopped: string[] = [];
  messages: Message[] = [];
  refuse: ConnectError | undefined;
  refuseResume: ConnectError | undefined;
  #events: TurnEvent[] = [];
  #changed: (() => void)[] = [];
  #cuts = 0;

  readonly parley = new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) =>
      createRouterTransport(
        ({ service }) =>
          service(ChatService, {
            streamReply: (request, context) => {
              this.requests.push(request);
              if (this.refuse) throw this.refuse;
              return this.#read(0, context.signal);
            },
            resumeReply: ({ afterSequence }, context) => {
              this.resumed.push(afterSequence);
              if (this.refuseResume) throw this.refuseResume;
              return this.#read(afterSequence, context.signal);
            },
            stopReply: ({ turnId }) => {
              this.stopped.push(turnId);
              return { stopped: true, message: answer({ text: "Hel", state: MessageState.STOPPED }) };
            },
            listMessages: () => ({ messages: this.messages.toReversed() }),
          }),
        { transport: { interceptors } },
      ),
  });

  push(...events: Init[]): void {
    for (const event of events) {
      const sequence = this.#events.length + 1;
      this.#events.push(create(TurnEventSchema, { turnId: "trn_1", sequence, firstSequence: sequence, ...(event ? { event } : {}) }));
    }
    this.#wake();
  }

  cut(): void {
    this.#cuts += 1;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }

  async *#read(after: number, signal: AbortSignal) {
    const cuts = this.#cuts;
    for (let at = after; ; at += 1) {
      while (at >= this.#events.length && this.#cuts === cuts && !signal.aborted) {
        await new Promise<void>((resolve) => {
          this.#changed.push(resolve);
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
      if (this.#cuts !== cuts) throw new ConnectError("cut", Code.Unavailable);
      const event = this.#events[at];
      if (!event) return;
      yield { event };
      if (["completed", "failed", "stopped"].includes(event.event.case ?? "")) return;
    }
  }
}

const STARTED: Init = { case: "started", value: { sessionId: "ses_1", userMessageId: "msg_1", messageId: "msg_2", traceId: "f00d" } };
const delta = (text: string): Init => ({ case: "delta", value: { text } });

function answer(init: { text?: string; state?: MessageState; messageId?: string } = {}): Message {
  return create(MessageSchema, {
    messageId: "msg_2", sessionId: "ses_1", parentMessageId: "msg_1", role: Role.ASSISTANT, turnId: "trn_1", state: MessageState.COMPLETED, ...init,
  });
}

function question(init: { messageId?: string; parentMessageId?: string; text?: string } = {}): Message {
  return create(MessageSchema, { messageId: "msg_1", sessionId: "ses_1", role: Role.USER, text: "hi", state: MessageState.COMPLETED, turnId: "trn_1", ...init });
}

let chat: Chat;
beforeEach(() => {
  chat = new Chat();
});

/** Waits until the conversation is as wanted. */
async function until(conversation: Conversation, wanted: (state: ConversationState) => boolean): Promise<void> {
  await vi.waitFor(() => expect(wanted(conversation.state)).toBe(true), { timeout: 4_000 });
}

test("a question stands there at once, and its answer grows until it is stored", async () => {
  const born: string[] = [];
  const conversation = new Conversation(chat.parley, undefined, { onStarted: (_, sessionId) => born.push(sessionId) });
  conversation.send("hi", Route.ENHANCED);
  expect(conversation.state.outgoing?.text).toBe("hi");
  chat.push(STARTED, { case: "notice", value: { kind: NoticeKind.OFFLINE_MODEL, message: "offline" } }, delta("Hel"), delta("lo"));
  await until(conversation, ({ live }) => live["msg_2"]?.text === "Hello");
  expect(born).toEqual(["ses_1"]);
  expect(conversation.state.outgoing).toBeUndefined();
  expect(conversation.steps().map(({ message }) => message.messageId)).toEqual(["msg_1", "msg_2"]);
  chat.push({ case: "completed", value: { message: answer({ text: "Hello" }) } });
  await until(conversation, ({ live }) => live["msg_2"] === undefined);
  expect(conversation.steps().at(-1)?.message).toMatchObject({ text: "Hello", state: MessageState.COMPLETED });
  expect(conversation.state.remarks["msg_2"]?.notices).toHaveLength(1);
});

test("a message names the model that was chosen when it was sent, also when it is sent again", async () => {
  let model = "big";
  const conversation = new Conversation(chat.parley, undefined, { model: () => model });
  chat.refuse = new ConnectError("no", Code.PermissionDenied);
  conversation.send("hi", Route.ENHANCED);
  await until(conversation, ({ outgoing }) => outgoing?.error !== undefined);
  model = "small";
  chat.refuse = undefined;
  conversation.sendAgain();
  chat.push(STARTED);
  await until(conversation, ({ live }) => live["msg_2"] !== undefined);
  expect(chat.requests.map((request) => request.model)).toEqual(["big", "big"]);
});

test("what a model thought is kept when its answer is whole, and dropped when the answer begins anew", async () => {
  const conversation = new Conversation(chat.parley);
  conversation.send("hi", Route.AUTOMATIC);
  const thought = (text: string): Init => ({ case: "reasoningDelta", value: { text } });
  chat.push(STARTED, thought("no"), { case: "restarted", value: {} }, thought("ye"), thought("s"), delta("Hello"));
  await until(conversation, ({ live }) => live["msg_2"]?.reasoning === "yes" && live["msg_2"].text === "Hello");
  chat.push({ case: "completed", value: { message: answer({ text: "Hello" }) } });
  await until(conversation, ({ live }) => live["msg_2"] === undefined);
  expect(conversation.state.remarks["msg_2"]?.reasoning).toBe("yes");
});

test("files beside a message are put there and taken away by their keys", () => {
  const conversation = new Conversation(chat.parley);
  conversation.attach(["a", "b"]);
  conversation.attach(["c"]);
  conversation.detach("b");
  expect(conversation.state.attached).toEqual(["a", "c"]);
  conversation.detach();
  expect(conversation.state.attached).toEqual([]);
});

test("another model that goes on is among the notices, in words, and is the answer's model", async () => {
  const conversation = new Conversation(chat.parley);
  conversation.send("hi", Route.AUTOMATIC);
  const message = "The model large is unavailable; small goes on.";
  chat.push(STARTED, delta("Hel"), { case: "providerSwitched", value: { fromModel: "large", toModel: "small", message } }, delta("lo"));
  await until(conversation, ({ live }) => live["msg_2"]?.text === "Hello");
  expect(conversation.state.remarks["msg_2"]?.notices.map(wordsForNotice)).toEqual([message]);
  expect(conversation.steps().at(-1)?.message.model).toBe("small");
});

test("a message waits when no model can be reached, and its place goes away with the first words", async () => {
  const conversation = new Conversation(chat.parley);
  conversation.send("hi", Route.AUTOMATIC);
  const queued = (place: number): Init => ({ case: "queued", value: { place, message: `It waits in place ${place}.` } });
  chat.push(STARTED, queued(3));
  await until(conversation, ({ live }) => live["msg_2"]?.queuePlace === 3);
  expect(chat.requests[0]?.queueWhenUnavailable).toBe(true);
  const again: Init = { case: "notice", value: { kind: NoticeKind.TRYING_AGAIN, message: "again" } };
  chat.push(again, queued(2), again, queued(1));
  await until(conversation, ({ live }) => live["msg_2"]?.queuePlace === 1);
  expect(conversation.state.remarks["msg_2"]?.notices.map(({ message }) => message)).toEqual(["again"]);
  chat.push(delta("Hel"));
  await until(conversation, ({ live }) => live["msg_2"]?.text === "Hel" && live["msg_2"].queuePlace === 0);
});

test("an answer that loses its model in the middle waits with the text that it has", async () => {
  const conversation = new Conversation(chat.parley);
  conversation.send("hi", Route.AUTOMATIC);
  chat.push(STARTED, delta("Hel"), { case: "queued", value: { place: 1, message: "It waits." } });
  await until(conversation, ({ live }) => live["msg_2"]?.queuePlace === 1);
  expect(conversation.state.live["msg_2"]?.text).toBe("Hel");
  await conversation.stop("msg_2");
  expect(conversation.state.live).toEqual({});
});

test("a cut in the middle shows as reconnecting, and the text goes on without a repeat", async () => {
  const conversation = new Conversation(chat.parley);
  conversation.send("hi", Route.AUTOMATIC);
  chat.push(STARTED, delta("Hel"));
  await until(conversation, ({ live }) => live["msg_2"]?.text === "Hel");
  chat.cut();
  await until(conversation, ({ live }) => live["msg_2"]?.reconnecting === true);
  chat.push(delta("lo"));
  await until(conversation, ({ live }) => live["msg_2"]?.text === "Hello" && !live["msg_2"].reconnecting);
  expect(chat.resumed).toEqual([2]);
});

test("an answer that is being written when the page opens is taken up from its beginning", async () => {
  chat.messages = [question(), answer({ state: MessageState.STREAMING })];
  chat.push(STARTED, delta("Hello"));
  const conversation = new Conversation(chat.parley, "ses_1");
  await conversation.load();
  await until(conversation, ({ live }) => live["msg_2"]?.text === "Hello");
  chat.push({ case: "completed", value: { message: answer({ text: "Hello" }) } });
  await until(conversation, ({ live }) => live["msg_2"] === undefined);
  expect(chat.resumed).toEqual([0]);
});

test("loading again follows a running answer once", async () => {
  chat.messages = [question(), answer({ state: MessageState.STREAMING })];
  chat.push(STARTED, delta("Hello"));
  const conversation = new Conversation(chat.parley, "ses_1");
  await conversation.load();
  await conversation.load();
  await until(conversation, ({ live }) => live["msg_2"]?.text === "Hello");
  expect(chat.resumed).toEqual([0]);
});

test("an answer whose events are gone is shown as it was stored, once it was", async () => {
  const gone = (reason: string) => new ConnectError("gone", Code.FailedPrecondition, undefined, [{ desc: ErrorInfoSchema, value: { domain: "parley", reason } }]);
  chat.messages = [question(), answer({ state: MessageState.STREAMING })];
  chat.refuseResume = gone("ERROR_REASON_TURN_LOG_EXPIRED");
  const conversation = new Conversation(chat.parley, "ses_1");
  await conversation.load();
  await until(conversation, ({ live, loading }) => live["msg_2"]?.error !== undefined && !loading);
  expect(chat.resumed).toEqual([0]);
  chat.messages = [question(), answer({ text: "Hello" })];
  await conversation.load();
  expect(conversation.state.live).toEqual({});
  expect(conversation.steps().at(-1)?.message.text).toBe("Hello");
});

test("stopping asks the server, and what was written stays", async () => {
  const conversation = new Conversation(chat.parley);
  conversation.send("hi", Route.AUTOMATIC);
  chat.push(STARTED, delta("Hel"));
  await until(conversation, ({ live }) => live["msg_2"]?.text === "Hel");
  await conversation.stop("msg_2");
  expect(chat.stopped).toEqual(["trn_1"]);
  expect(conversation.steps().at(-1)?.message).toMatchObject({ text: "Hel", state: MessageState.STOPPED });
  expect(conversation.state.live).toEqual({});
});

test("a failed answer keeps what was written and why it failed", async () => {
  const conversation = new Conversation(chat.parley);
  conversation.send("hi", Route.AUTOMATIC);
  chat.push(STARTED, delta("Hel"), {
    case: "failed",
    value: { failure: { code: 14, reason: "ERROR_REASON_PROVIDER_STALLED", message: "m" }, message: answer({ text: "Hel", state: MessageState.FAILED }) },
  });
  await until(conversation, ({ messages }) => messages.at(-1)?.state === MessageState.FAILED);
  expect(conversation.steps().at(-1)?.message.failure?.reason).toBe("ERROR_REASON_PROVIDER_STALLED");
});

test("a call that waits for its user says with what, and until it is decided", async () => {
  const conversation = new Conversation(chat.parley);
  conversation.send("hi", Route.AUTOMATIC);
  const call = { toolCallId: "call_1", tool: "delete_task" };
  chat.push(
    STARTED,
    { case: "toolCalled", value: { ...call, argumentsJson: '{"task_id": "tsk_1"}' } },
    { case: "approvalRequested", value: { ...call, argumentsJson: '{"task_id": "tsk_1"}', effect: ToolEffect.DELETE } },
  );
  const use = (state: ConversationState) => state.live["msg_2"]?.toolUses[0];
  await until(conversation, (state) => use(state)?.approval === ToolApprovalState.PENDING);
  expect(use(conversation.state)?.asked?.effect).toBe(ToolEffect.DELETE);
  chat.push({ case: "approvalDecided", value: { ...call, state: ToolApprovalState.DENIED, reason: "not that one" } });
  await until(conversation, (state) => use(state)?.approval === ToolApprovalState.DENIED);
  expect(use(conversation.state)).toMatchObject({ denial: "not that one", argumentsJson: '{"task_id": "tsk_1"}' });
  expect(use(conversation.state)?.asked).toBeUndefined();
});

test("a budget that ends an answer is told with it", async () => {
  const conversation = new Conversation(chat.parley);
  conversation.send("hi", Route.AUTOMATIC);
  chat.push(STARTED, delta("Hel"), {
    case: "budgetReached",
    value: { budgetId: "bud_1", name: "Fun", period: BudgetPeriod.DAY, measure: BudgetMeasure.COST, limit: 2_500_000n, spent: 2_500_000n },
  });
  await until(conversation, ({ remarks }) => remarks["msg_2"]?.budget !== undefined);
  expect(wordsForBudget(conversation.state.remarks["msg_2"]!.budget!)).toBe(
    "Your budget “Fun” of $2.50 each day is used up, so the answer ends here. What had been written is kept. Raise it in Usage.",
  );
});

test("a send that is refused keeps the words, and sending again uses the same name", async () => {
  const conversation = new Conversation(chat.parley);
  chat.refuse = new ConnectError("full", Code.ResourceExhausted, undefined, [
    { desc: ErrorInfoSchema, value: { domain: "parley", reason: "ERROR_REASON_TOO_MANY_TURNS" } },
  ]);
  conversation.send("hi", Route.AUTOMATIC);
  await until(conversation, ({ outgoing }) => outgoing?.error !== undefined);
  expect(conversation.state.outgoing?.text).toBe("hi");
  chat.refuse = undefined;
  conversation.sendAgain();
  chat.push(STARTED);
  await until(conversation, ({ outgoing }) => outgoing === undefined);
  expect(chat.requests).toHaveLength(2);
  expect(chat.requests[1]!.clientMessageId).toBe(chat.requests[0]!.clientMessageId);
});

test("a message that is taken back is in the composer again", () => {
  const conversation = new Conversation(chat.parley);
  conversation.send("hi", Route.AUTOMATIC);
  conversation.takeBack();
  expect(conversation.state).toMatchObject({ draft: "hi", outgoing: undefined });
});

test("a message follows the last one on the screen, and asking again makes an alternative of the question", async () => {
  chat.messages = [question(), answer(), question({ messageId: "msg_3", parentMessageId: "msg_2", text: "more" }), answer({ messageId: "msg_4" })];
  chat.messages[3]!.parentMessageId = "msg_3";
  const conversation = new Conversation(chat.parley, "ses_1");
  await conversation.load();
  conversation.askAgain(chat.messages[3]!, Route.STANDARD);
  await vi.waitFor(() => expect(chat.requests).toHaveLength(1));
  expect(chat.requests[0]).toMatchObject({ message: "more", parentMessageId: "msg_2", sessionId: "ses_1", route: Route.STANDARD });
  conversation.takeBack();
  conversation.send("next", Route.AUTOMATIC);
  await vi.waitFor(() => expect(chat.requests).toHaveLength(2));
  expect(chat.requests[1]).toMatchObject({ message: "next", parentMessageId: "msg_4" });
});
