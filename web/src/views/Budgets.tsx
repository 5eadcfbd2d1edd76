/** The budgets that bound what models may take, each with how far it is used. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Pencil, Plus, Trash2, TriangleAlert } from "lucide-react";
import { useRef, useState } from "react";
import { BudgetMeasure, BudgetOrigin, BudgetPeriod, type Budget } from "@parley/protos/parley/budget/v1/budget_pb";
import { Button, IconButton } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { wordsFor } from "../rpc/errors";
import { tell } from "../state/app";
import { usage as store } from "../state/usageOfPage";
import { amount, PERIOD_NAMES, share } from "../text/budgets";
import { when } from "../text/tasks";
import { BudgetForm } from "./BudgetForm";

export function Budgets({ budgets }: { budgets: readonly Budget[] }) {
  const [adding, setAdding] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  return (
    <section aria-labelledby="budgets" className="mt-9">
      <div className="mb-3 flex flex-wrap items-center gap-3">
        <h2 id="budgets" ref={heading} tabIndex={-1} className="flex-1 font-medium outline-none">
          Budgets
        </h2>
        {!adding && (
          <Button onClick={() => setAdding(true)}>
            <Plus className="size-4" aria-hidden="true" />
            Set a budget
          </Button>
        )}
      </div>
      {adding && (
        <div className="mb-3">
          <BudgetForm
            onClose={() => {
              setAdding(false);
              heading.current?.focus();
            }}
          />
        </div>
      )}
      {budgets.length === 0 && !adding && (
        <p className="text-sm text-pretty text-quiet">
          No budget is set. With one, answers end where it is used up, and say so: by cost or by tokens, for a day, a month, or in all.
        </p>
      )}
      <ul className="space-y-3" aria-label="Your budgets">
        {budgets.map((budget) => (
          <BudgetRow key={budget.budgetId} budget={budget} onGone={() => heading.current?.focus()} />
        ))}
      </ul>
    </section>
  );
}

function BudgetRow({ budget, onGone }: { budget: Budget; onGone: () => void }) {
  const [editing, setEditing] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const { spending, period, limitCostUsdMicros, limitTokens } = budget;
  const own = budget.origin === BudgetOrigin.USER;
  const name = budget.name || `Budget ${PERIOD_NAMES[period]}`;
  if (editing) {
    return (
      <li>
        <BudgetForm budget={budget} onClose={() => setEditing(false)} />
      </li>
    );
  }
  return (
    <li className="rounded-2xl border border-line bg-raised px-4 py-3">
      <div className="flex items-start gap-2">
        <div className="min-w-0 flex-1">
          <h3 className="flex items-center gap-2 text-sm font-medium break-words">
            {name}
            {spending?.reached && (
              <span className="inline-flex items-center gap-1 rounded-md bg-bad-soft px-1.5 py-0.5 text-xs text-bad">
                <TriangleAlert className="size-3" aria-hidden="true" />
                Used up
              </span>
            )}
          </h3>
          <p className="text-xs text-quiet">
            {[
              budget.name ? PERIOD_NAMES[period] : "",
              own ? "" : "set by whoever runs this Parley",
              spending?.renewTime && period !== BudgetPeriod.TOTAL ? `begins anew ${when(timestampDate(spending.renewTime), new Date())}` : "",
            ]
              .filter(Boolean)
              .join(" · ")}
          </p>
        </div>
        {own && (
          <div className="-mt-1 -mr-1.5 flex">
            <IconButton small label={`Edit ${name}`} onClick={() => setEditing(true)}>
              <Pencil className="size-4" />
            </IconButton>
            <IconButton small label={`Delete ${name}`} onClick={() => setDeleting(true)}>
              <Trash2 className="size-4" />
            </IconButton>
          </div>
        )}
      </div>
      <div className="mt-2 space-y-2">
        {limitCostUsdMicros !== undefined && (
          <Bar
            label={`${name}: cost`}
            measure={BudgetMeasure.COST}
            spent={spending?.spentCostUsdMicros ?? 0n}
            held={spending?.reservedCostUsdMicros ?? 0n}
            limit={limitCostUsdMicros}
          />
        )}
        {limitTokens !== undefined && (
          <Bar
            label={`${name}: tokens`}
            measure={BudgetMeasure.TOKENS}
            spent={spending?.spentTokens ?? 0n}
            held={spending?.reservedTokens ?? 0n}
            limit={limitTokens}
          />
        )}
      </div>
      {deleting && (
        <Confirm
          title="Delete this budget?"
          yes="Delete"
          onClose={() => setDeleting(false)}
          onYes={() => {
            store
              .remove(budget.budgetId)
              .then(onGone)
              .catch((error: unknown) => tell(wordsFor(error)));
          }}
        >
          “{name}” will bound nothing any more. What was used stays in the usage.
        </Confirm>
      )}
    </li>
  );
}

interface BarProps {
  label: string;
  measure: BudgetMeasure;
  spent: bigint;
  held: bigint;
  limit: bigint;
}

function Bar({ label, measure, spent, held, limit }: BarProps) {
  const used = share(spent, limit);
  const words = `${amount(measure, spent)} of ${amount(measure, limit)}${held > 0n ? `, and ${amount(measure, held)} held for what is being written` : ""}`;
  return (
    <div>
      <div
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(used * 100)}
        aria-valuetext={words}
        className="flex h-2 overflow-hidden rounded-full bg-hover"
      >
        <span className={used >= 1 ? "bg-bad" : used >= 0.8 ? "bg-warn" : "bg-accent"} style={{ width: `${used * 100}%` }} />
        <span className="bg-accent opacity-40" style={{ width: `${Math.min(1 - used, share(held, limit)) * 100}%` }} />
      </div>
      <p className="mt-1 text-xs text-quiet tabular-nums">{words}</p>
    </div>
  );
}
