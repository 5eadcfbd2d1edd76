/** What spoke for and against a lead: a bar each, to the right for, to the left against. */
import type { ScoreContribution } from "@parley/protos/parley/inference/v1/scoring_service_pb";
import { signed } from "../text/leads";

export function LeadReasons({ contributions, label }: { contributions: readonly ScoreContribution[]; label: string }) {
  const most = Math.max(0.01, ...contributions.map(({ contribution }) => Math.abs(contribution)));
  if (contributions.length === 0) return <p className="text-sm text-quiet">Nothing of it speaks for or against it.</p>;
  return (
    <ul aria-label={label} className="space-y-1.5">
      {contributions.map(({ column, value, contribution, words }) => {
        const part = (Math.abs(contribution) / most) * 50;
        return (
          <li key={column} className="grid grid-cols-[minmax(0,1fr)_minmax(0,1fr)] items-center gap-x-3 text-sm" title={words}>
            <span className="min-w-0 truncate">
              <span className="font-medium">{column}</span> <span className="text-quiet">{value || "missing"}</span>
            </span>
            <span className="flex items-center gap-2">
              <svg viewBox="0 0 100 10" preserveAspectRatio="none" className="h-3.5 min-w-0 flex-1" aria-hidden="true">
                <line x1={50} x2={50} y2={10} className="stroke-line-strong" vectorEffect="non-scaling-stroke" />
                <rect x={contribution < 0 ? 50 - part : 50} width={part} y={1} height={8} className={contribution < 0 ? "fill-bad" : "fill-good"} />
              </svg>
              <span className="w-12 shrink-0 text-right text-xs text-quiet tabular-nums">
                {signed(contribution)}
                <span className="sr-only">, speaks {contribution < 0 ? "against" : "for"} it</span>
              </span>
            </span>
          </li>
        );
      })}
    </ul>
  );
}
