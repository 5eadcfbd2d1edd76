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

/** How far a limit is used: from 0 to 1. */
export function share(spent: bigint, limit: bigint): number {
  return limit <= 0n ? 1 : Math.min(1, Number(spent) / Number(limit));
}

/** An amount of US dollars as somebody typed it, in millionths: `2.50`, `$2,5`. Undefined when it is none, or not above 0. */
export function dollarsToMicros(text: string): bigint | undefined {
  const value = Number(text.trim().replace(/^\$\s*/, "").replace(",", "."));
  const micros = Math.round(value * 1_000_000);
  return text.trim() && Number.isFinite(value) && micros > 0 ? BigInt(micros) : undefined;
}

/** A number of tokens as somebody typed it: `40000`, `40,000`, `40 000`, `40k`, `1.5M`. Undefined when it is none, or not above 0. */
export function tokensFrom(text: string): bigint | undefined {
  const [, digits, unit] = /^([\d.,\s_]+)([km]?)$/i.exec(text.trim()) ?? [];
  if (!digits) return undefined;
  const value = unit ? Number(digits.replace(",", ".")) * (unit.toLowerCase() === "k" ? 1e3 : 1e6) : Number(digits.replace(/[.,\s_]/g, ""));
  return Number.isFinite(value) && value >= 1 ? BigInt(Math.round(value)) : undefined;
}
