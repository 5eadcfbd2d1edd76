/** A call of a tool that waits for the user: what it would do with what, to be let go, changed, or refused. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Hand } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { ToolEffect } from "@parley/protos/parley/chat/v1/tool_pb";
import { Button } from "../parts/buttons";
import { wordsFor, wordsForField } from "../rpc/errors";
import { parley } from "../rpc/parley";
import { approvals } from "../state/app";
import { argumentFacts, jsonFault, readableJson, wordsForRequest, type ToolUseShown } from "../text/toolUses";
import { when } from "../text/tasks";

const EFFECTS: Partial<Record<ToolEffect, string>> = {
  [ToolEffect.READ]: "It only looks, and changes nothing.",
  [ToolEffect.WRITE]: "It changes what you keep here. You can change it back.",
  [ToolEffect.DELETE]: "It deletes what you keep here, for good.",
  [ToolEffect.EXTERNAL]: "It acts outside of Parley, and can't be taken back from here.",
};

const FIELD =
  "block w-full rounded-lg border border-line bg-ground px-3 py-2 text-sm outline-none focus:border-line-strong focus:ring-1 focus:ring-line-strong aria-[invalid=true]:border-bad";

export function ApprovalCard({ use, turnId }: { use: ToolUseShown; turnId: string }) {
  const id = useId();
  const [mode, setMode] = useState<"asking" | "editing" | "denying">("asking");
  const [text, setText] = useState(() => readableJson(use.argumentsJson));
  const [reason, setReason] = useState("");
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  const heading = useRef<HTMLHeadingElement>(null);
  const subject = useSubject(use.argumentsJson);
  // An id says nothing beside the name of what it names.
  const facts = argumentFacts(use.argumentsJson).filter(([name]) => !subject || !/ id$/.test(name));
  const fault = mode === "editing" ? jsonFault(text) : undefined;
  const { effect = ToolEffect.UNSPECIFIED, expireTime } = use.asked ?? {};
  const told = fault ?? (error === undefined ? undefined : (wordsForField(error, "arguments_json") ?? wordsForField(error, "reason") ?? wordsFor(error)));

  const decide = (deciding: Promise<void>) => {
    setWorking(true);
    setError(undefined);
    // When it is decided, the answer's own events tell so, here as on every other device.
    deciding
      .catch((thrown: unknown) => {
        setError(thrown);
        setWorking(false);
      })
      .finally(() => heading.current?.focus());
  };
  const approve = () => {
    if (fault !== undefined) return;
    const unchanged = mode !== "editing" || text === readableJson(use.argumentsJson);
    decide(approvals.approve(turnId, use.toolCallId, unchanged ? "" : text));
  };

  return (
    <section aria-labelledby={`${id}-title`} className="overflow-hidden rounded-xl border border-accent bg-raised text-sm">
      <div className="flex items-start gap-2.5 bg-accent-soft px-3.5 py-2.5">
        <Hand className="mt-0.5 size-4 shrink-0 text-accent" aria-hidden="true" />
        <div className="min-w-0 flex-1">
          <h3 ref={heading} id={`${id}-title`} tabIndex={-1} className="font-medium text-pretty break-words outline-none">
            {wordsForRequest(use, subject)}
          </h3>
          <p className="text-xs text-quiet">
            {[EFFECTS[effect], expireTime && `You can decide until ${when(timestampDate(expireTime), new Date())}.`].filter(Boolean).join(" ")}
          </p>
        </div>
      </div>
      <div className="space-y-3 px-3.5 py-3">
        {mode === "editing" ? (
          <div>
            <label htmlFor={`${id}-json`} className="mb-1.5 block text-xs font-medium text-quiet">
              What it runs with, as JSON
            </label>
            <textarea
              id={`${id}-json`}
              autoFocus
              rows={Math.min(14, text.split("\n").length + 1)}
              spellCheck={false}
              value={text}
              maxLength={100_000}
              aria-invalid={told !== undefined}
              aria-describedby={`${id}-fault`}
              onChange={(event) => {
                setText(event.target.value);
                setError(undefined);
              }}
              className={`${FIELD} resize-y font-mono text-xs leading-relaxed`}
            />
          </div>
        ) : facts.length > 0 ? (
          <dl className="grid max-h-72 grid-cols-[auto_1fr] gap-x-4 gap-y-1 overflow-auto">
            {facts.map(([name, value]) => (
              <div key={name} className="col-span-2 grid grid-cols-subgrid">
                <dt className="text-quiet">{name}</dt>
                <dd className="min-w-0 break-words whitespace-pre-wrap">{value}</dd>
              </div>
            ))}
          </dl>
        ) : (
          !subject && <p className="text-quiet">It is called without anything.</p>
        )}
        {mode === "denying" && (
          <div>
            <label htmlFor={`${id}-reason`} className="mb-1.5 block text-xs font-medium text-quiet">
              Why not? The assistant is told. You may leave this empty.
            </label>
            <input
              id={`${id}-reason`}
              autoFocus
              value={reason}
              maxLength={1000}
              onChange={(event) => setReason(event.target.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter" && !working) decide(approvals.deny(turnId, use.toolCallId, reason.trim()));
              }}
              className={FIELD}
            />
          </div>
        )}
        <p id={`${id}-fault`} role="alert" className="text-bad empty:hidden">
          {told}
        </p>
        <div className="flex flex-wrap gap-2">
          {mode === "denying" ? (
            <Button look="danger" disabled={working} onClick={() => decide(approvals.deny(turnId, use.toolCallId, reason.trim()))}>
              Deny
            </Button>
          ) : (
            <>
              <Button look="accent" disabled={working || fault !== undefined} onClick={approve}>
                {mode === "editing" ? "Approve with this" : "Approve"}
              </Button>
              {mode === "asking" && (
                <Button disabled={working} onClick={() => setMode("editing")}>
                  Change
                </Button>
              )}
              {mode === "asking" && (
                <Button disabled={working} onClick={() => setMode("denying")}>
                  Deny…
                </Button>
              )}
            </>
          )}
          {mode !== "asking" && (
            <Button
              disabled={working}
              onClick={() => {
                setMode("asking");
                setError(undefined);
                setText(readableJson(use.argumentsJson));
              }}
            >
              Back
            </Button>
          )}
        </div>
      </div>
    </section>
  );
}

/** What the thing is called that the arguments name by its id; empty until it is known. */
function useSubject(argumentsJson: string): string {
  const [subject, setSubject] = useState("");
  useEffect(() => {
    let gone = false;
    void import("../state/subjects")
      .then(({ subjectOf }) => subjectOf(parley, argumentsJson))
      .then((found) => !gone && setSubject(found))
      // Without it the arguments have to do.
      .catch(() => undefined);
    return () => {
      gone = true;
    };
  }, [argumentsJson]);
  return subject;
}
