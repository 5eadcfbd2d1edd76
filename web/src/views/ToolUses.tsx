/** The tools that an answer used: a line for each, with what was asked and what came back on demand. */
import { Check, ChevronRight, LoaderCircle, TriangleAlert } from "lucide-react";
import { readableJson, wordsForToolUse, type ToolUseShown } from "../text/toolUses";

export function ToolUses({ uses }: { uses: readonly ToolUseShown[] }) {
  return (
    <ul aria-label="Tools" className="mb-3 flex flex-col gap-1.5">
      {uses.map((use) => (
        <li key={use.toolCallId}>
          <details className="group/tool rounded-xl border border-line bg-raised text-sm">
            <summary className="flex min-h-9 cursor-pointer list-none items-center gap-2.5 rounded-xl px-3 py-1.5 hover:bg-hover">
              <Sign use={use} />
              <span className="min-w-0 flex-1 text-pretty">{wordsForToolUse(use)}</span>
              <ChevronRight className="size-4 shrink-0 text-quiet transition-transform group-open/tool:rotate-90" aria-hidden="true" />
            </summary>
            <dl className="flex flex-col gap-2 border-t border-line px-3 py-2.5 text-xs">
              <Part name="Asked">{readableJson(use.argumentsJson)}</Part>
              {use.resultJson && <Part name="Answered">{readableJson(use.resultJson)}</Part>}
            </dl>
          </details>
        </li>
      ))}
    </ul>
  );
}

function Sign({ use }: { use: ToolUseShown }) {
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
