/** What the events of a turn tell of its tools' approvals, put onto the uses that they are about. */
import { ToolApprovalState } from "@parley/protos/parley/chat/v1/tool_pb";
import type { TurnEvent } from "@parley/protos/parley/chat/v1/turn_event_pb";
import type { ToolUseShown } from "../text/toolUses";

type ApprovalEvent = Extract<TurnEvent["event"], { case: "approvalRequested" | "approvalDecided" }>;

/** The uses with what an event of an approval tells. */
export function withApproval(uses: readonly ToolUseShown[], event: ApprovalEvent): readonly ToolUseShown[] {
  return uses.map((use) => {
    if (use.toolCallId !== event.value.toolCallId) return use;
    if (event.case === "approvalRequested") {
      const { effect, expireTime } = event.value;
      return { ...use, approval: ToolApprovalState.PENDING, asked: { effect, expireTime } };
    }
    const { state, argumentsJson, reason } = event.value;
    const { asked: _, ...decided } = use;
    return { ...decided, approval: state, editedArgumentsJson: argumentsJson, denial: reason };
  });
}
