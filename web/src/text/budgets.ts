/** Budgets in words for a person. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { BudgetMeasure, BudgetPeriod } from "@parley/protos/parley/budget/v1/budget_pb";
import type { BudgetReached } from "@parley/protos/parley/chat/v1/turn_event_pb";
import { count, dollars } from "./figures";
import { when } from "./tasks";

export const PERIOD_NAMES: Readonly<Record<BudgetPeriod, string>> = {
  [BudgetPeriod.UNSPECIFIED]: "",
  [BudgetPeriod.DAY]: "each day",
  [BudgetPeriod.MONTH]: "each month",
  [BudgetPeriod.TOTAL]: "in all",
};

/** A limit as people write it: $2.50, 40,000 tokens. */
export function amount(measure: BudgetMeasure, value: bigint): string {
  return measure === BudgetMeasure.TOKENS ? `${count(Number(value))} tokens` : dollars(value);
}

/** Why an answer ends where it does, and what its reader can do. */
export function wordsForBudget({ name, measure, limit, period, renewTime }: BudgetReached, now = new Date()): string {
  const budget = `${name ? `Your budget “${name}”` : "Your budget"} of ${amount(measure, limit)} ${PERIOD_NAMES[period]}`.trim();
  const again = renewTime ? `, or go on when it begins anew, ${when(timestampDate(renewTime), now)}` : "";
  return `${budget} is used up, so the answer ends here. What had been written is kept. Raise it in Usage${again}.`;
}
