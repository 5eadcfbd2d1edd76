/** An estimate of what a message would take, in words for a person. */
import { Route } from "@parley/protos/parley/chat/v1/message_pb";
import type { EstimateCostResponse } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { BudgetPeriod } from "@parley/protos/parley/budget/v1/budget_pb";
import { count, dollars, roughly } from "./figures";

export interface EstimateWords {
  /** Beside the message: ≈ 1.3k tokens. */
  readonly tokens: string;
  /** $0.0014–$0.004; empty when the price is not known. */
  readonly cost: string;
  /** All of it, in sentences. */
  readonly long: string;
  /** Set when a budget would not be enough. */
  readonly warning?: string;
}

const PERIODS: Partial<Record<BudgetPeriod, string>> = { [BudgetPeriod.DAY]: "daily ", [BudgetPeriod.MONTH]: "monthly " };

export function wordsForEstimate(estimate: EstimateCostResponse): EstimateWords {
  const { inputTokens, outputTokensLow, outputTokensHigh, costUsdMicrosLow: low, costUsdMicrosHigh: high, model, route } = estimate;
  const cost = high === undefined ? "" : high === 0n ? "free" : low === high || !low ? dollars(high) : `${dollars(low)}–${dollars(high)}`;
  const tokens = `≈ ${roughly(Number(inputTokens + outputTokensHigh))} tokens`;
  const written = outputTokensLow === outputTokensHigh ? count(Number(outputTokensHigh)) : `${count(Number(outputTokensLow))} to ${count(Number(outputTokensHigh))}`;
  const how = route === Route.ENHANCED ? "the enhanced route" : "the standard route";
  const long = [
    `An estimate for ${how}${model ? ` with ${model}` : ""}: about ${count(Number(inputTokens))} tokens read, ${written} written.`,
    cost === "" ? "The model's price is not known." : cost === "free" ? "It costs nothing." : `It would cost about ${cost}.`,
  ].join(" ");
  const tight = estimate.fits.find((fit) => !fit.low) ?? estimate.fits.find((fit) => !fit.high);
  if (!tight) return { tokens, cost, long };
  const { name, period } = tight.budget ?? {};
  const budget = name ? `your budget “${name}”` : `your ${PERIODS[period ?? BudgetPeriod.UNSPECIFIED] ?? ""}budget`;
  return { tokens, cost, long, warning: tight.low ? `A long answer would end early: ${budget} is nearly used up.` : `This is more than is left of ${budget}.` };
}
