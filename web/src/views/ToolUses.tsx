/** The tools that an answer used: a line for each, with what was asked and what came back on demand. */
import { Ban, Check, ChevronRight, LoaderCircle, TriangleAlert } from "lucide-react";
import { ToolApprovalState } from "@parley/protos/parley/chat/v1/tool_pb";
import { readableJson, wordsForApproval, wordsForToolUse, type ToolUseShown } from "../text/toolUses";
import { ApprovalCard } from "./ApprovalCard";

/** `turnId`: of the turn that still runs; undefined when none does, and nothing can be decided any more. */
export function ToolUses({ uses, turnId }: { uses: readonly ToolUseShown[]; turnId: string | undefined }) {
  return (
    <ul aria-label="Tools" className="mb-3 flex flex-col gap-1.5">
      {uses.map((use) => (
        <li key={use.toolCallId}>
          {turnId && use.approval === ToolApprovalState.PENDING ? <ApprovalCard use={use} turnId={turnId} /> : <Use use={use} />}
        </li>
      ))}
    </ul>
  );
}

function Use({ use }: { use: ToolUseShown }) {
  const decision = wordsForApproval(use);
  return (
    <details className="group/tool rounded-xl border border-line bg-raised text-sm">
      <summary className="flex min-h-9 cursor-pointer list-none items-center gap-2.5 rounded-xl px-3 py-1.5 hover:bg-hover">
        <Sign use={use} />
        <span className="min-w-0 flex-1 text-pretty">{wordsForToolUse(use)}</span>
        <ChevronRight className="size-4 shrink-0 text-quiet transition-transform group-open/tool:rotate-90" aria-hidden="true" />
      </summary>
      <dl className="flex flex-col gap-2 border-t border-line px-3 py-2.5 text-xs">
        {decision && <p className="text-quiet">{decision}.</p>}
        <Part name="Asked">{readableJson(use.argumentsJson)}</Part>
        {use.editedArgumentsJson && <Part name="Ran with">{readableJson(use.editedArgumentsJson)}</Part>}
        {use.resultJson && <Part name="Answered">{readableJson(use.resultJson)}</Part>}
      </dl>
    </details>
  );
}

function Sign({ use }: { use: ToolUseShown }) {
  const { APPROVED, PENDING, UNSPECIFIED } = ToolApprovalState;
  if (![APPROVED, PENDING, UNSPECIFIED].includes(use.approval)) return <Ban className="size-4 shrink-0 text-quiet" aria-hidden="true" />;
  if (!use.resultJson) return <LoaderCircle className="size-4 shrink-0 animate-spin text-quiet motion-reduce:animate-none" aria-hidden="true" />;
  if (use.failed) return <TriangleAlert className="size-4 shrink-0 text-warn" aria-hidden="true" />;
  return <Check className="size-4 shrink-0 text-accent" aria-hidden="true" />;
}

function Part({ name, children }: { name: string; children: string }) {
  return (
    <div>
      <dt className="mb-1 font-medium text-quiet">{name}</dt>
      <dd>
        <pre className="max-h-56 overflow-auto rounded-lg bg-sunken p-2.5 whitespace-pre-wrap break-words">{children}</pre>
      </dd>
    </div>
  );
}
