/**
 * A stand-in for Parley that lives in the browser: for drawing the page (`npm run dev -- --mode fake`) and for tests. Never part of the build.
 *
 * Knows one user, keeps everything in memory, and answers slowly, so that there is something to see. A question that holds `fail` fails, one that holds
 * `cut` loses its connection now and then.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs, timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import type { TransportFactory } from "@parley/client";
import { BadRequestSchema, ErrorInfoSchema } from "@parley/protos/google/rpc/error_details_pb";
import { ChatService, type StreamReplyRequest } from "@parley/protos/parley/chat/v1/chat_service_pb";
import { CitationSchema, MessageSchema, MessageState, Role, Route, ToolUseSchema, type Message } from "@parley/protos/parley/chat/v1/message_pb";
import { SessionSchema, type Session } from "@parley/protos/parley/chat/v1/session_pb";
import { ToolApprovalState, ToolEffect } from "@parley/protos/parley/chat/v1/tool_pb";
import { ToolService } from "@parley/protos/parley/chat/v1/tool_service_pb";
import { NoticeKind, TurnEventSchema, type TurnEvent } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { EventService } from "@parley/protos/parley/events/v1/event_service_pb";
import { FlagReason } from "@parley/protos/parley/flags/v1/flag_pb";
import { FlagService } from "@parley/protos/parley/flags/v1/flag_service_pb";
import { CircuitState, GenerationService, ModelCapability, ProviderState } from "@parley/protos/parley/ai/v1/generation_service_pb";
import { SpanKind } from "@parley/protos/parley/telemetry/v1/span_pb";
import { TraceService } from "@parley/protos/parley/telemetry/v1/trace_service_pb";
import { IdentityService } from "@parley/protos/parley/identity/v1/identity_service_pb";
import { DocumentService } from "@parley/protos/parley/retrieval/v1/document_service_pb";
import { MediaType } from "@parley/protos/parley/retrieval/v1/document_pb";
import { IngestService } from "@parley/protos/parley/retrieval/v1/ingest_service_pb";
import { IncidentKind, SystemNodeKind } from "@parley/protos/parley/system/v1/system_map_pb";
import { ServingState, SystemService } from "@parley/protos/parley/system/v1/system_service_pb";
import { BudgetOrigin, BudgetPeriod } from "@parley/protos/parley/budget/v1/budget_pb";
import { UsageDimension, UsageService } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { ProjectService } from "@parley/protos/parley/workspace/v1/project_service_pb";
import { CalendarAccountKind, CalendarAccountState } from "@parley/protos/parley/workspace/v1/calendar_pb";
import { CalendarService } from "@parley/protos/parley/workspace/v1/calendar_service_pb";
import { ANSWER, DOCUMENT, PASSAGES } from "./texts";

interface Decision {
  readonly approved: boolean;
  readonly argumentsJson: string;
  readonly reason: string;
}

interface Turn {
  readonly events: TurnEvent[];
  readonly waiting: Set<() => void>;
  readonly answer: Message;
  stopped: boolean;
}

const PAUSE_MS = 35;
const FIRST = [
  ["How do I add a provider?", "answered in “Add a provider”"],
  ["What does “Lease of the flat” say about the notice period?", "your document “Lease of the flat” has a part about the notice period"],
  ["Summarize “Minutes of the spring meeting”.", "your document “Minutes of the spring meeting” is new or has changed"],
  ["How does a turn flow?", "answered in “How a turn flows”"],
] as const;
const FOLLOWING = [
  ["What happens when a provider fails?", "answered in “Add a provider”"],
  ["Explain this code step by step.", "the answer holds code"],
  ["Summarize this in three sentences.", "the answer is long"],
] as const;
const STATUS = () => {
  const since = timestampFromMs(Date.now() - 5_400_000);
  return {
    state: ServingState.SERVING,
    services: ["chat", "inference", "retrieval"].map((name) => ({ service: name, state: ServingState.SERVING, stateChangeTime: since, version: "0.1.0" })),
    defaultModel: "offline",
    offline: true,
    runningTurns: 1,
    toolServers: [
      { name: "github", state: ServingState.SERVING, stateChangeTime: since, toolCount: 12 },
      { name: "search-of-the-web", state: ServingState.UNREACHABLE, stateChangeTime: since, leftOutToolCount: 3 },
    ],
    providers: [
      { provider: "openai", state: ProviderState.HEALTHY, stateChangeTime: since, runningCalls: 1 },
      { provider: "local", state: ProviderState.FAILING, stateChangeTime: since, lastFailureReason: "ERROR_REASON_PROVIDER_RATE_LIMITED", waitingCalls: 2 },
    ],
    queues: [
      { name: "turns", service: "chat", runningCount: 1 },
      { name: "batches", service: "chat", waitingCount: 214, runningCount: 4 },
      { name: "ingestion", service: "retrieval" },
    ],
    nodes: [
      { nodeId: "edge", kind: SystemNodeKind.EDGE },
      ...["chat", "inference", "retrieval"].map((nodeId, place) => ({ nodeId, kind: SystemNodeKind.SERVICE, processId: `0000000${place}` })),
      { nodeId: "provider:openai", kind: SystemNodeKind.PROVIDER, technology: "openai" },
      { nodeId: "provider:local", kind: SystemNodeKind.PROVIDER, technology: "openai" },
      { nodeId: "chat:database", kind: SystemNodeKind.STORE, technology: "sqlite" },
      { nodeId: "chat:turns", kind: SystemNodeKind.STORE, technology: "folder" },
      { nodeId: "retrieval:database", kind: SystemNodeKind.STORE, technology: "sqlite" },
      { nodeId: "retrieval:index", kind: SystemNodeKind.STORE, technology: "folder" },
      { nodeId: "retrieval:files", kind: SystemNodeKind.STORE, technology: "folder" },
    ],
    links: (
      [
        ["edge", "chat", 84n, 0n, 3],
        ["edge", "retrieval", 12n, 0n, 0],
        ["edge", "inference", 0n, 0n, 0],
        ["chat", "retrieval", 31n, 0n, 0],
        ["chat", "inference", 22n, 2n, 1],
        ["retrieval", "inference", 5n, 0n, 0],
        ["inference", "provider:openai", 20n, 0n, 1],
        ["inference", "provider:local", 4n, 3n, 0],
        ["chat", "chat:database", 212n, 0n, 0],
        ["chat", "chat:turns", undefined, 0n, 0],
        ["retrieval", "retrieval:database", 48n, 0n, 0],
        ["retrieval", "retrieval:index", undefined, 0n, 0],
        ["retrieval", "retrieval:files", undefined, 0n, 0],
      ] as const
    ).map(([fromNodeId, toNodeId, callCount, errorCount, runningCount]) => ({
      fromNodeId,
      toNodeId,
      circuit: toNodeId === "provider:local" ? CircuitState.HALF_OPEN : toNodeId === "provider:openai" ? CircuitState.CLOSED : CircuitState.UNSPECIFIED,
      ...(callCount === undefined
        ? {}
        : { traffic: { windowSeconds: 60, callCount, errorCount, runningCount, timeToFirstTokenMs: toNodeId === "provider:openai" ? 340 : 0 } }),
    })),
    answers: { windowSeconds: 3600, endedCount: 184n, failedCount: 2n, stoppedCount: 5n, switchCount: 6n, withoutContextCount: 1n, waitCount: 0n },
    incidents: [
      { kind: IncidentKind.MODEL_SWITCHED, time: since, reason: "ERROR_REASON_PROVIDER_STALLED", model: "llama-3", nextModel: "gpt-5-mini" },
      { kind: IncidentKind.WITHOUT_CONTEXT, time: since },
      { kind: IncidentKind.ANSWER_FAILED, time: since, reason: "ERROR_REASON_PROVIDER_CREDENTIALS", model: "gpt-5-mini" },
    ],
    traceUrlTemplate: "https://traces.example.org/trace/{trace_id}",
  };
};
const SPANS = () => {
  const begun = Date.now() - 60_000;
  const span = (spanId: string, parentSpanId: string, service: string, name: string, from: number, to: number, attributes: Record<string, string> = {}) => ({
    spanId, parentSpanId, service, name, kind: SpanKind.SERVER, startTime: timestampFromMs(begun + from), endTime: timestampFromMs(begun + to), attributes,
  });
  return [
    span("1", "", "edge", "ingress", 0, 1250, { "http.method": "POST" }),
    span("2", "1", "edge", "router chat egress", 1, 1249),
    span("3", "2", "chat", "parley.chat.v1.ChatService/StreamReply", 11, 1248, { "rpc.response.status_code": "OK" }),
    span("4", "3", "chat", "chat.turn", 122, 1218, { "parley.turn.route": "enhanced" }),
    span("5", "4", "chat", "chat.turn.search", 127, 190),
    { ...span("6", "5", "retrieval", "parley.retrieval.v1.SearchService/Search", 140, 185), failed: true },
    span("7", "4", "chat", "chat.turn.generate", 195, 1216, { "parley.time_to_first_token_ms": "571" }),
    span("8", "7", "inference", "parley.inference.v1.InferenceService/StreamGenerate", 200, 1210),
    span("9", "8", "inference", "chat gpt-fast", 210, 1205, { "gen_ai.response.time_to_first_chunk": "0.523", "gen_ai.request.model": "gpt-fast" }),
  ];
};
const USER = { userId: "usr_1", email: "ada@example.com", displayName: "Ada" };

export function fakeTransport(): TransportFactory {
  const sessions = new Map<string, Session>();
  const messages = new Map<string, Message[]>();
  const turns = new Map<string, Turn>();
  const decisions = new Map<string, (decision: Decision) => void>();
  let count = 0;
  const id = (prefix: string) => `${prefix}_${String((count += 1)).padStart(32, "0")}`;
  const tokens = () => ({
    accessToken: `access-${(count += 1)}`,
    accessTokenExpireTime: timestampFromMs(Date.now() + 900_000),
    refreshToken: `refresh-${count}`,
    refreshTokenExpireTime: timestampFromMs(Date.now() + 86_400_000),
  });

  const titles = ["How do I add a provider?", "Notes on the release", "Why does my stream end early, and what can I do about it?", "Kubernetes readiness", "A haiku about gRPC"];
  titles.forEach((title, index) => {
    const time = timestampFromMs(Date.now() - index * index * 40_000_000 - 3_600_000);
    const session = create(SessionSchema, { sessionId: id("ses"), title, createTime: time, updateTime: time });
    sessions.set(session.sessionId, session);
    messages.set(session.sessionId, []);
  });

  const add = (turn: Turn, event: TurnEvent["event"]) => {
    const sequence = turn.events.length + 1;
    turn.events.push(create(TurnEventSchema, { turnId: turn.answer.turnId, sequence, firstSequence: sequence, event }));
    for (const wake of turn.waiting) wake();
    turn.waiting.clear();
  };

  const run = async (turn: Turn, question: string) => {
    const { answer } = turn;
    const begun = Date.now();
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    add(turn, { case: "routeChosen", value: { $typeName: "parley.chat.v1.RouteChosen", route: Route.ENHANCED, reason: "asks about something to look up", model: "offline" } });
    add(turn, {
      case: "notice",
      value: { $typeName: "parley.chat.v1.Notice", kind: NoticeKind.OFFLINE_MODEL, message: "No model is configured, so the built-in offline model answers from the documents." },
    });
    for (let place = question.includes("queue") ? 3 : 0; place > 0 && !turn.stopped; place -= 1) {
      const message = `No model can be reached; the message waits in place ${place}.`;
      add(turn, { case: "queued", value: { $typeName: "parley.chat.v1.TurnQueued", place, message } });
      await pause(3000);
    }
    await pause(500);
    if (question.includes("delete")) {
      const call = { toolCallId: id("call"), tool: "delete_task", argumentsJson: JSON.stringify({ task_id: "tsk_0f3a", title: "Renew the passport", notes: "The old one ends in March." }) };
      add(turn, { case: "toolCalled", value: { $typeName: "parley.chat.v1.ToolCalled", ...call } });
      add(turn, { case: "approvalRequested", value: { $typeName: "parley.chat.v1.ApprovalRequested", ...call, effect: ToolEffect.DELETE, expireTime: timestampFromMs(Date.now() + 86_400_000) } });
      const { approved, argumentsJson, reason } = await new Promise<Decision>((resolve) => decisions.set(call.toolCallId, resolve));
      const state = approved ? ToolApprovalState.APPROVED : ToolApprovalState.DENIED;
      add(turn, { case: "approvalDecided", value: { $typeName: "parley.chat.v1.ApprovalDecided", ...call, state, edited: argumentsJson !== "", argumentsJson, reason } });
      const resultJson = approved ? "{}" : '{"error": {"message": "The user denied this."}}';
      add(turn, { case: "toolReturned", value: { $typeName: "parley.chat.v1.ToolReturned", ...call, resultJson, failed: !approved } });
      answer.toolUses = [create(ToolUseSchema, { ...call, resultJson, failed: !approved, approval: state, editedArgumentsJson: argumentsJson })];
    }
    const citations = PASSAGES.map((text, index) => {
      const start = Array.from(DOCUMENT.slice(0, DOCUMENT.indexOf(text))).length;
      return create(CitationSchema, {
        number: index + 1,
        chunkId: `chunk-${index}`,
        documentId: "doc_1",
        documentTitle: "Inference: providers and models",
        heading: "Inference › Providers",
        text,
        startOffset: start,
        endOffset: start + Array.from(text).length,
      });
    });
    add(turn, { case: "sourcesFound", value: { $typeName: "parley.chat.v1.SourcesFound", citations } });
    await pause(400);
    const first = Date.now() - begun;
    const end = (state: MessageState) => {
      answer.state = state;
      answer.citations = citations;
      answer.route = Route.ENHANCED;
      answer.model = "offline";
      answer.usage = { $typeName: "parley.chat.v1.Usage", inputTokens: 1284, outputTokens: Math.round(answer.text.length / 4), estimated: true, timeToFirstTokenMs: first, durationMs: Date.now() - begun };
      const session = sessions.get(answer.sessionId)!;
      session.runningTurnId = "";
    };
    for (const word of ANSWER.split(/(?<=\s)/)) {
      if (turn.stopped) {
        end(MessageState.STOPPED);
        return add(turn, { case: "stopped", value: { $typeName: "parley.chat.v1.TurnStopped", message: answer, textLength: Array.from(answer.text).length } });
      }
      if (question.includes("fail") && answer.text.length > 300) {
        end(MessageState.FAILED);
        answer.failure = { $typeName: "parley.chat.v1.Failure", code: 14, reason: "ERROR_REASON_PROVIDER_STALLED", message: "stalled", retryable: true };
        return add(turn, { case: "failed", value: { $typeName: "parley.chat.v1.TurnFailed", failure: answer.failure, message: answer } });
      }
      answer.text += word;
      add(turn, { case: "delta", value: { $typeName: "parley.chat.v1.TextDelta", text: word } });
      await pause(PAUSE_MS);
    }
    end(MessageState.COMPLETED);
    add(turn, { case: "completed", value: { $typeName: "parley.chat.v1.TurnCompleted", message: answer } });
  };

  const start = (request: StreamReplyRequest): Turn => {
    let session = sessions.get(request.sessionId);
    if (!session) {
      session = create(SessionSchema, { sessionId: id("ses"), title: request.message.slice(0, 60), createTime: timestampNow() });
      sessions.set(session.sessionId, session);
      messages.set(session.sessionId, []);
    }
    const { sessionId } = session;
    const tree = messages.get(sessionId)!;
    const turnId = id("trn");
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const question = create(MessageSchema, {
      messageId: id("msg"), sessionId, turnId, role: Role.USER, text: request.message, state: MessageState.COMPLETED, createTime: timestampNow(),
      parentMessageId: request.parentMessageId || (tree.at(-1)?.messageId ?? ""), clientMessageId: request.clientMessageId,
    });
    const answer = create(MessageSchema, {
      messageId: id("msg"), sessionId, turnId, traceId, role: Role.ASSISTANT, state: MessageState.STREAMING, createTime: timestampNow(), parentMessageId: question.messageId,
    });
    tree.push(question, answer);
    session.updateTime = timestampNow();
    session.runningTurnId = turnId;
    const turn: Turn = { events: [], waiting: new Set(), answer, stopped: false };
    turns.set(turnId, turn);
    add(turn, {
      case: "started",
      value: { $typeName: "parley.chat.v1.TurnStarted", sessionId, userMessageId: question.messageId, messageId: answer.messageId, clientMessageId: request.clientMessageId, traceId },
    });
    void run(turn, request.message);
    return turn;
  };

  async function* follow(turn: Turn, after: number, signal: AbortSignal, cuts: boolean) {
    for (let at = after; !signal.aborted; at += 1) {
      while (at >= turn.events.length && !signal.aborted) {
        await new Promise<void>((resolve) => {
          turn.waiting.add(resolve);
          signal.addEventListener("abort", () => resolve());
        });
      }
      const event = turn.events[at];
      if (!event) return;
      yield { event: structuredClone(event) };
      if (["completed", "failed", "stopped"].includes(event.event.case ?? "")) return;
      if (cuts && at - after > 40) throw new ConnectError("cut", Code.Unavailable);
    }
  }

  const wrong = () =>
    new ConnectError("wrong", Code.Unauthenticated, undefined, [{ desc: ErrorInfoSchema, value: { domain: "parley", reason: "ERROR_REASON_CREDENTIALS_WRONG" } }]);
  const newestFirst = () => [...sessions.values()].sort((a, b) => Number((b.updateTime?.seconds ?? 0n) - (a.updateTime?.seconds ?? 0n)));

  return (interceptors) =>
    createRouterTransport(
      ({ service }) => {
        service(IdentityService, {
          signIn: ({ password }) => {
            if (password !== "correct horse") throw wrong();
            return { user: USER, tokens: tokens() };
          },
          signUp: ({ email, password, displayName }) => {
            const violations = [
              ...(email.includes("@") ? [] : [{ field: "email", description: "has no @" }]),
              ...(password.length >= 8 ? [] : [{ field: "password", description: "is too short" }]),
            ];
            if (violations.length) throw new ConnectError("invalid", Code.InvalidArgument, undefined, [{ desc: BadRequestSchema, value: { fieldViolations: violations } }]);
            return { user: { ...USER, email, displayName: displayName || "Ada" }, tokens: tokens() };
          },
          refreshTokens: () => ({ tokens: tokens() }),
          signOut: () => ({}),
        });
        service(ChatService, {
          listSessions: () => ({ sessions: newestFirst() }),
          searchSessions: ({ query }) => ({
            matches: newestFirst()
              .filter((session) => session.title.toLowerCase().includes(query.toLowerCase()))
              .map((session) => ({ session, snippet: "… the provider is an adapter of its own, in one file …" })),
          }),
          updateSession: ({ sessionId, title }) => ({ session: Object.assign(sessions.get(sessionId)!, { title }) }),
          deleteSession: ({ sessionId }) => {
            sessions.delete(sessionId);
            return {};
          },
          listMessages: ({ sessionId }) => {
            if (!sessions.has(sessionId)) throw new ConnectError("no such session", Code.NotFound);
            const stored = (message: Message) => (message.state === MessageState.STREAMING ? { ...message, text: "" } : message);
            return { messages: messages.get(sessionId)!.map(stored).toReversed() };
          },
          streamReply: (request, context) => follow(start(request), 0, context.signal, request.message.includes("cut")),
          resumeReply: ({ turnId, afterSequence }, context) => follow(turns.get(turnId)!, afterSequence, context.signal, false),
          suggestPrompts: ({ sessionId, limit }) => ({
            suggestions: (sessionId ? FOLLOWING : FIRST).slice(0, limit || 4).map(([prompt, reason]) => ({ prompt, reason, route: Route.ENHANCED })),
          }),
          stopReply: ({ turnId }) => {
            const turn = turns.get(turnId)!;
            turn.stopped = true;
            return { stopped: true, message: { ...turn.answer, state: MessageState.STOPPED } };
          },
        });
        service(GenerationService, {
          listAvailableModels: () => ({
            models: ["gpt-fast", "gpt-strong"].map((model) => ({ model, provider: "openai", capabilities: [ModelCapability.GENERATE], available: true, contextWindowTokens: 128_000, inputUsdMicros: 250_000n, outputUsdMicros: 2_000_000n })),
          }),
        });
        service(UsageService, {
          getUsage: ({ groupBy }) => {
            const row = (part: number, more = {}) => ({ requestCount: BigInt(12 * part), inputTokens: BigInt(9120 * part), outputTokens: BigInt(2210 * part), costUsdMicros: BigInt(61_300 * part), ...more });
            const day = (before: number) => new Date(Date.now() - before * 86_400_000).toLocaleDateString("sv-SE");
            const days = [1, 3, 2, 5, 1, 4, 7, 2].map((part, index) => row(part, { day: day(index * 3) }));
            const models = [row(9, { model: "offline" }), row(4, { model: "gpt-fast", unpricedCount: 48n })];
            return { total: row(groupBy.length ? 13 : 3), rows: groupBy[0] === UsageDimension.DAY ? days : models };
          },
          estimateCost: ({ message, model, route }) => ({
            route: route === Route.STANDARD ? Route.STANDARD : Route.ENHANCED, model: model || "gpt-fast", inputTokens: BigInt(900 + message.length),
            outputTokensLow: 80n, outputTokensHigh: 600n, costUsdMicrosLow: 2300n, costUsdMicrosHigh: 7500n,
          }),
          listBudgets: () => ({
            budgets: [
              { budgetId: "bud_operator_month", period: BudgetPeriod.MONTH, limitCostUsdMicros: 20_000_000n, origin: BudgetOrigin.OPERATOR, spending: { spentCostUsdMicros: 17_100_000n, renewTime: timestampFromMs(Date.now() + 9 * 86_400_000) } },
              { budgetId: "bud_1", name: "Not too much", period: BudgetPeriod.DAY, limitCostUsdMicros: 2_500_000n, limitTokens: 40_000n, origin: BudgetOrigin.USER, spending: { spentCostUsdMicros: 610_000n, reservedCostUsdMicros: 200_000n, spentTokens: 40_000n, reached: true, renewTime: timestampFromMs(Date.now() + 3_600_000) } },
            ],
          }),
        });
        service(ProjectService, {
          listProjects: () => ({ projects: [{ projectId: "prj_1", title: "Garden" }, { projectId: "prj_2", title: "The move to Lisbon, and what comes with it", instructions: "Answer briefly." }] }),
        });
        service(CalendarService, {
          listCalendarAccounts: () => ({
            accounts: [
              { accountId: "cal_1", kind: CalendarAccountKind.FEED, name: "Work", host: "calendar.example.com", state: CalendarAccountState.READY, eventCount: 214, lastSuccessTime: timestampNow() },
              { accountId: "cal_2", kind: CalendarAccountKind.CALDAV, name: "Choir", host: "dav.example.org", state: CalendarAccountState.FAILED, error: "The server refused the user name or the password.", eventCount: 12 },
            ],
          }),
          listMeetings: ({ startTime }) => {
            const monday = startTime ? timestampMs(startTime) : Date.now();
            const at = (name: string, day: number, hour: number, hours: number, more = {}) => ({
              meetingId: `mtg_${name}_${day}`, eventId: `evt_${name}`, title: name, startTime: timestampFromMs(monday + (day * 24 + hour) * 3_600_000), endTime: timestampFromMs(monday + (day * 24 + hour + hours) * 3_600_000), ...more,
            });
            const date = (days: number) => new Date(monday + days * 86_400_000 + 3_600_000).toLocaleDateString("sv-SE");
            const daily = [0, 1, 2, 3, 4].map((day) => at("Stand-up", day, 9, 0.25, { recurring: true, readOnly: true }));
            return {
              meetings: [
                ...daily,
                at("Review of the quarter", 1, 9, 2, { location: "Room 4", attendees: [{ name: "Kai", response: "accepted" }, { email: "mo@example.com", response: "needs-action" }], description: "Bring the figures." }),
                at("Call with Lisbon", 1, 10, 1.5, { location: "https://meet.example.com/lisbon" }),
                at("Dentist", 3, 14, 1),
                at("Night train", 4, 21, 10),
                { meetingId: "mtg_h", eventId: "evt_h", title: "Holiday", allDay: true, startDate: date(2), endDate: date(4), startTime: timestampNow() },
              ],
            };
          },
        });
        service(ToolService, {
          listToolApprovals: () => ({}),
          approveToolCall: ({ toolCallId, argumentsJson }) => {
            decisions.get(toolCallId)?.({ approved: true, argumentsJson, reason: "" });
            return {};
          },
          denyToolCall: ({ toolCallId, reason }) => {
            decisions.get(toolCallId)?.({ approved: false, argumentsJson: "", reason });
            return {};
          },
        });
        service(EventService, {
          listEvents: ({ afterSequence }) => {
            const failure = { code: 14, reason: "ERROR_REASON_PROVIDER_UNAVAILABLE", message: "The provider does not answer." };
            const message = { messageId: "msg_f", sessionId: [...sessions.keys()][0]!, role: Role.ASSISTANT, state: MessageState.FAILED, failure, model: "gpt-fast" };
            const event = { sequence: 1n, time: timestampFromMs(Date.now() - 7_200_000), resourceId: "msg_f", resource: { case: "message" as const, value: message } };
            return { events: afterSequence === 0n ? [event] : [], nextAfterSequence: 1n, newestSequence: 1n };
          },
          async *watchEvents(_, { signal }) {
            yield {};
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
          },
        });
        service(DocumentService, {
          listDocuments: () => ({ documents: [{ documentId: "doc_1", title: "Inference: providers and models", mediaType: MediaType.PDF, pageCount: 12, project: "handbook", updateTime: timestampNow() }] }),
          deleteDocument: () => ({}),
          getDocument: ({ documentId }) => ({ document: { documentId, title: "Inference: providers and models", text: DOCUMENT, mediaType: MediaType.MARKDOWN, shared: true } }),
        });
        service(IngestService, { listJobs: () => ({}) });
        service(SystemService, {
          getStatus: STATUS,
          async *watchStatus(_, { signal }) {
            yield { status: STATUS(), changed: true };
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
          },
          runSelfTest: async () => {
            await new Promise((resolve) => setTimeout(resolve, 1500));
            const check = (name: string, serviceName: string, durationMs: number, message: string, passed = true) => ({ name, service: serviceName, passed, durationMs, message });
            return {
              passed: false,
              durationMs: 5412,
              traceId: "0af7651916cd43dd8448eb211c80319c",
              checks: [
                check("database", "chat", 3, "sqlite"),
                check("turn_log", "chat", 2, ""),
                check("model", "inference", 407, "offline"),
                check("search", "retrieval", 5000, "The search did not answer within 5 seconds.", false),
              ],
            };
          },
        });
        service(TraceService, { getTrace: () => ({ spans: SPANS() }) });
        service(FlagService, {
          async *watchFlags(_, { signal }) {
            yield {
              flags: [
                { name: "new-editor", enabled: true, value: "compact", reason: FlagReason.IN_ROLLOUT },
                { name: "voice", enabled: false, reason: FlagReason.DISABLED },
              ],
            };
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
          },
        });
      },
      { transport: { interceptors } },
    );
}
