/** A budget as a form: what it is called, how long it lasts, and what it allows. */
import { useState } from "react";
import { BudgetPeriod, type Budget } from "@parley/protos/parley/budget/v1/budget_pb";
import { Button } from "../parts/buttons";
import { wordsFor, wordsForField } from "../rpc/errors";
import { usage as store } from "../state/usageOfPage";
import { dollarsToMicros, tokensFrom } from "../text/budgets";
import { FIELD, Labelled } from "./TaskForm";

const PERIODS = [
  { period: BudgetPeriod.DAY, name: "Each day" },
  { period: BudgetPeriod.MONTH, name: "Each month" },
  { period: BudgetPeriod.TOTAL, name: "In all" },
] as const;

export function BudgetForm({ budget, onClose }: { budget?: Budget; onClose: () => void }) {
  const [name, setName] = useState(budget?.name ?? "");
  const [period, setPeriod] = useState(budget?.period ?? BudgetPeriod.MONTH);
  const [cost, setCost] = useState(budget?.limitCostUsdMicros === undefined ? "" : String(Number(budget.limitCostUsdMicros) / 1e6));
  const [tokens, setTokens] = useState(budget?.limitTokens === undefined ? "" : String(budget.limitTokens));
  const [tried, setTried] = useState(false);
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();

  const wanted = { cost: dollarsToMicros(cost), tokens: tokensFrom(tokens) };
  const costFault = cost.trim() && wanted.cost === undefined ? "This has to be an amount above 0, like 2.50." : undefined;
  const tokensFault = tokens.trim() && wanted.tokens === undefined ? "This has to be a whole number, like 40,000." : undefined;
  const none = !cost.trim() && !tokens.trim() ? "A budget needs a limit: of cost, of tokens, or of both." : undefined;

  return (
    <form
      aria-label={budget ? "Edit the budget" : "New budget"}
      noValidate
      className="animate-rise space-y-4 rounded-2xl border border-line bg-raised p-4"
      onKeyDown={(event) => event.key === "Escape" && onClose()}
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (working || costFault || tokensFault || none) return;
        setWorking(true);
        setError(undefined);
        store
          .set({ name: name.trim(), period, ...wanted }, budget)
          .then(onClose)
          .catch((thrown: unknown) => {
            setError(thrown);
            setWorking(false);
          });
      }}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <Labelled name="Name, if you like" error={wordsForField(error, "name")}>
          {(props) => <input {...props} autoFocus maxLength={100} value={name} onChange={(event) => setName(event.target.value)} className={`${FIELD} w-full`} />}
        </Labelled>
        <Labelled name="For">
          {(props) => (
            <select
              {...props}
              value={period}
              disabled={budget !== undefined}
              onChange={(event) => setPeriod(Number(event.target.value))}
              className={`${FIELD} w-full disabled:opacity-60`}
            >
              {PERIODS.map((each) => (
                <option key={each.period} value={each.period}>
                  {each.name}
                </option>
              ))}
            </select>
          )}
        </Labelled>
        <Labelled name="US dollars" error={(tried ? costFault : undefined) ?? wordsForField(error, "limit_cost_usd_micros")}>
          {(props) => (
            <input {...props} inputMode="decimal" placeholder="no limit" value={cost} onChange={(event) => setCost(event.target.value)} className={`${FIELD} w-full`} />
          )}
        </Labelled>
        <Labelled name="Tokens" error={(tried ? tokensFault : undefined) ?? wordsForField(error, "limit_tokens")}>
          {(props) => (
            <input {...props} inputMode="numeric" placeholder="no limit" value={tokens} onChange={(event) => setTokens(event.target.value)} className={`${FIELD} w-full`} />
          )}
        </Labelled>
      </div>
      <p role="alert" className="text-sm text-bad empty:hidden">
        {(tried && none) || (error !== undefined && !["name", "limit_cost_usd_micros", "limit_tokens"].some((field) => wordsForField(error, field)) ? wordsFor(error) : "")}
      </p>
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button look="accent" type="submit" disabled={working}>
          {budget ? "Save" : "Set"}
        </Button>
      </div>
    </form>
  );
}
