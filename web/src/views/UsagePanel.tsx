/** What the user's models took and cost, day by day and by model, and the budgets that bound it. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Pencil, Plus, Trash2, TriangleAlert } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useStore } from "zustand";
import { BudgetMeasure, BudgetOrigin, BudgetPeriod, type Budget } from "@parley/protos/parley/budget/v1/budget_pb";
import type { UsageRow } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { Button, IconButton } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { Notice } from "../parts/Notice";
import { wordsFor } from "../rpc/errors";
import { tell } from "../state/app";
import { usage as store } from "../state/usageOfPage";
import { DAYS, tokens } from "../state/usage";
import { amount, PERIOD_NAMES, share } from "../text/budgets";
import { count, dollars } from "../text/figures";
import { when } from "../text/tasks";
import { BudgetForm } from "./BudgetForm";

export function UsagePanel() {
  const { loaded, loading, error, today, month, days, models, budgets } = useStore(store.store);
  const [adding, setAdding] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => store.watch(), []);
  return (
    <div className="min-h-0 flex-1 overflow-y-auto" aria-busy={loading}>
      <div className="mx-auto w-full max-w-3xl px-4 pt-4 pb-12 sm:px-6">
        <h1 className="mb-5 font-serif text-[1.9rem] leading-tight tracking-[-0.015em]">Usage</h1>
        {error && (
          <div className="mb-4">
            <Notice kind="bad" action={<Button onClick={() => void store.refresh()}>Try again</Button>}>
              {wordsFor(error)}
            </Notice>
          </div>
        )}
        {!loaded && !error && <div className="h-28 animate-breathe rounded-2xl bg-hover" role="status" aria-label="Loading" />}
        {today && month && (
          <div className="grid gap-3 sm:grid-cols-2">
            <Total name="Today" row={today} />
            <Total name="This month" row={month} />
          </div>
        )}
        {loaded && <Plot days={days} />}
        {loaded && (
          <section aria-labelledby="budgets" className="mt-8">
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
        )}
        {models.length > 0 && <Models rows={models} />}
      </div>
    </div>
  );
}

function Total({ name, row }: { name: string; row: UsageRow }) {
  return (
    <section aria-label={name} className="rounded-2xl border border-line bg-raised px-4 py-3.5 tabular-nums">
      <h2 className="text-xs font-medium text-quiet">{name}</h2>
      <p className="mt-0.5 text-2xl font-medium tracking-tight">{dollars(row.costUsdMicros)}</p>
      <p className="text-sm text-quiet">
        {count(Number(tokens(row)))} tokens, {count(Number(row.requestCount))} {row.requestCount === 1n ? "request" : "requests"}
      </p>
      {row.unpricedCount > 0n && <p className="mt-1 text-xs text-quiet">Without {count(Number(row.unpricedCount))} of models whose price is not known</p>}
    </section>
  );
}

/** A bar for each of the last days: what it cost, or its tokens where nothing has a price. */
function Plot({ days }: { days: readonly UsageRow[] }) {
  const priced = days.some(({ costUsdMicros }) => costUsdMicros > 0n);
  const value = (row: UsageRow | undefined) => (row ? Number(priced ? row.costUsdMicros : tokens(row)) : 0);
  const byDay = new Map(days.map((row) => [row.day, row]));
  const now = new Date();
  const shown = Array.from({ length: DAYS }, (_, index) => {
    const date = new Date(now.getFullYear(), now.getMonth(), now.getDate() - (DAYS - 1 - index));
    const two = (number: number) => String(number).padStart(2, "0");
    return { date, row: byDay.get(`${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`) };
  });
  const most = Math.max(1, ...shown.map(({ row }) => value(row)));
  return (
    <section aria-labelledby="last-days" className="mt-6">
      <h2 id="last-days" className="mb-2 text-xs font-medium text-quiet">
        {priced ? "Cost" : "Tokens"} of the last {DAYS} days
      </h2>
      <ul className="flex h-28 items-end gap-[3px] border-b border-line">
        {shown.map(({ date, row }) => {
          const name = date.toLocaleDateString("en-US", { month: "short", day: "numeric" });
          const words = row ? `${name}: ${dollars(row.costUsdMicros)}, ${count(Number(tokens(row)))} tokens` : `${name}: nothing`;
          return (
            <li key={name} className="group/bar flex h-full flex-1 items-end" title={words}>
              <span className="sr-only">{words}</span>
              <span
                className={`w-full rounded-t-sm ${row ? "min-h-[3px] bg-accent group-hover/bar:bg-accent-hover" : ""}`}
                style={{ height: `${(100 * value(row)) / most}%` }}
                aria-hidden="true"
              />
            </li>
          );
        })}
      </ul>
      <div className="mt-1 flex justify-between text-xs text-quiet" aria-hidden="true">
        <span>{shown[0]?.date.toLocaleDateString("en-US", { month: "short", day: "numeric" })}</span>
        <span>today</span>
      </div>
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

function Models({ rows }: { rows: readonly UsageRow[] }) {
  return (
    <section aria-labelledby="models" className="mt-8">
      <h2 id="models" className="mb-2 font-medium">
        By model
      </h2>
      <div className="overflow-x-auto" tabIndex={0} role="group" aria-label="Usage by model">
        <table className="w-full text-sm tabular-nums">
          <thead className="text-left text-xs text-quiet">
            <tr className="border-b border-line [&>th]:py-1.5 [&>th]:pr-4 [&>th]:font-medium">
              <th scope="col">Model</th>
              <th scope="col" className="text-right">
                Requests
              </th>
              <th scope="col" className="text-right">
                Read
              </th>
              <th scope="col" className="text-right">
                Written
              </th>
              <th scope="col" className="pr-0! text-right">
                Cost
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.model} className="border-b border-line [&>td]:py-1.5 [&>td]:pr-4">
                <td className="break-all">{row.model || "none"}</td>
                <td className="text-right">{count(Number(row.requestCount))}</td>
                <td className="text-right">{count(Number(row.inputTokens))}</td>
                <td className="text-right">{count(Number(row.outputTokens))}</td>
                <td className="pr-0! text-right">{row.unpricedCount === row.requestCount ? "no price known" : dollars(row.costUsdMicros)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
