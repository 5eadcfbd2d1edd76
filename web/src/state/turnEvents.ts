/** What the events of a turn make of its answer while it is written. Knows the answer and its remarks; where they are kept is its reader's matter. */
import { create } from "@bufbuild/protobuf";
import type { ParleyError } from "@parley/client";
import type { Citation, Message } from "@parley/protos/parley/chat/v1/message_pb";
import { ToolApprovalState } from "@parley/protos/parley/chat/v1/tool_pb";
import { NoticeSchema, type BudgetReached, type Notice, type TurnEvent } from "@parley/protos/parley/chat/v1/turn_event_pb";
import type { ToolUseShown } from "../text/toolUses";
import { oncePerFrame } from "./frames";
import { withApproval } from "./toolEvents";

/** An answer that is being written. */
export interface LiveAnswer {
  readonly turnId: string;
  readonly text: string;
  readonly reasoning: string;
  readonly citations: readonly Citation[];
  readonly toolUses: readonly ToolUseShown[];
  readonly stopping: boolean;
  readonly reconnecting: boolean;
  /** Its place, from 1, while it waits for a model that can be reached. 0 when it does not wait. */
  readonly queuePlace: number;
  /** Set when following ended without the turn's end. */
  readonly error?: ParleyError;
}

/** What the events tell of an answer and its stored message does not. */
export interface Remarks {
  readonly notices: readonly Notice[];
  readonly routeReason: string;
  /** What the model thought before it wrote. Empty when it did not, or did not tell. */
  readonly reasoning: string;
  /** The budget that ended it. */
  readonly budget?: BudgetReached;
}

export const NO_REMARKS: Remarks = { notices: [], routeReason: "", reasoning: "" };

/** An answer as nothing of it is written. */
export function emptyAnswer(turnId: string): LiveAnswer {
  return { turnId, text: "", reasoning: "", citations: [], toolUses: [], stopping: false, reconnecting: false, queuePlace: 0 };
}

/** Where one answer is kept while it grows. */
export interface AnswerSheet {
  live(change: Partial<LiveAnswer>): void;
  message(change: (message: Message) => Message): void;
  remark(change: (remarks: Remarks) => Remarks): void;
  /** It has ended: as it is stored, if that is known. */
  end(stored: Message | undefined): void;
}

/** Writes an answer as its events come. `open` is called with the first one and gives the sheet. Ends with the stream, and throws what it throws. */
export async function writeAnswer(events: AsyncIterable<TurnEvent>, open: (first: TurnEvent) => AnswerSheet): Promise<void> {
  const soon = oncePerFrame();
  let opened: AnswerSheet | undefined;
  let text = "";
  let reasoning = "";
  let toolUses: readonly ToolUseShown[] = [];
  for await (const event of events) {
    const sheet = (opened ??= open(event));
    const draw = () => sheet.live({ text, reasoning, queuePlace: 0 });
    switch (event.event.case) {
      case "delta":
        text += event.event.value.text;
        soon(draw);
        break;
      case "reasoningDelta":
        reasoning += event.event.value.text;
        soon(draw);
        break;
      case "restarted":
        text = "";
        reasoning = "";
        soon(draw);
        break;
      case "queued":
        soon.flush();
        sheet.live({ queuePlace: event.event.value.place });
        break;
      case "toolCalled": {
        soon.flush();
        const { toolCallId, tool, argumentsJson } = event.event.value;
        const approval = ToolApprovalState.UNSPECIFIED;
        toolUses = [...toolUses, { toolCallId, tool, argumentsJson, resultJson: "", failed: false, approval, editedArgumentsJson: "" }];
        sheet.live({ toolUses, queuePlace: 0 });
        break;
      }
      case "approvalRequested":
      case "approvalDecided":
        toolUses = withApproval(toolUses, event.event);
        sheet.live({ toolUses });
        break;
      case "toolReturned": {
        const { toolCallId, resultJson, failed } = event.event.value;
        toolUses = toolUses.map((use) => (use.toolCallId === toolCallId ? { ...use, resultJson, failed } : use));
        sheet.live({ toolUses });
        break;
      }
      case "budgetReached": {
        const budget = event.event.value;
        sheet.remark((remarks) => ({ ...remarks, budget }));
        break;
      }
      case "sourcesFound":
        sheet.live({ citations: event.event.value.citations });
        break;
      case "routeChosen": {
        const { route, model, reason } = event.event.value;
        sheet.message((message) => ({ ...message, route, model }));
        sheet.remark((remarks) => ({ ...remarks, routeReason: reason }));
        break;
      }
      case "notice": {
        const notice = event.event.value;
        sheet.remark((remarks) => {
          // A process that takes an answer over may tell again what the one before it told.
          const told = remarks.notices.some(({ kind, message }) => kind === notice.kind && message === notice.message);
          return told ? remarks : { ...remarks, notices: [...remarks.notices, notice] };
        });
        break;
      }
      case "providerSwitched": {
        const { toModel, message: words } = event.event.value;
        sheet.live({ queuePlace: 0 });
        sheet.message((message) => ({ ...message, model: toModel }));
        sheet.remark((remarks) => ({ ...remarks, notices: [...remarks.notices, create(NoticeSchema, { message: words })] }));
        break;
      }
      case "completed":
      case "stopped":
        soon.flush();
        if (reasoning) sheet.remark((remarks) => ({ ...remarks, reasoning }));
        sheet.end(event.event.value.message);
        break;
      case "failed": {
        soon.flush();
        if (reasoning) sheet.remark((remarks) => ({ ...remarks, reasoning }));
        const { failure, message } = event.event.value;
        sheet.end(message && { ...message, ...(failure && !message.failure ? { failure } : {}) });
        break;
      }
      default:
    }
  }
}
