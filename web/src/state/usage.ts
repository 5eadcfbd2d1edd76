/** What models took and cost, and the budgets that bound it. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ResourceType, type Event } from "@parley/protos/parley/events/v1/event_pb";
import type { Budget, BudgetPeriod } from "@parley/protos/parley/budget/v1/budget_pb";
import { MessageState, Role } from "@parley/protos/parley/chat/v1/message_pb";
import { UsageDimension, UsageService, type UsageRow } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { createStore } from "zustand/vanilla";

/** What a form has of a budget. A limit is undefined when there is none. */
export interface BudgetFields {
  readonly name: string;
  readonly period: BudgetPeriod;
  readonly cost: bigint | undefined;
  readonly tokens: bigint | undefined;
}

export interface UsageState {
  readonly loaded: boolean;
  readonly loading: boolean;
  readonly error: ParleyError | undefined;
  /** Of today, by this device's clock. */
  readonly today: UsageRow | undefined;
  /** Of this calendar month. */
  readonly month: UsageRow | undefined;
  /** Of the last 30 days, those on which there was something. */
  readonly days: readonly UsageRow[];
  /** Of the last 30 days, by model. */
  readonly models: readonly UsageRow[];
  readonly budgets: readonly Budget[];
}

const EMPTY: UsageState = {
  loaded: false,
  loading: false,
  error: undefined,
  today: undefined,
  month: undefined,
  days: [],
  models: [],
  budgets: [],
};
/** How many days the plot has. */
export const DAYS = 30;
/** After something was used, how long to wait for more before it is added up anew, milliseconds. */
const SOON_MS = 400;

export class Usage {
  readonly store = createStore<UsageState>(() => EMPTY);
  readonly #service;
  #asked = 0;
  #watchers = 0;
  #soon: ReturnType<typeof setTimeout> | undefined;

  constructor(parley: ParleyClient) {
    this.#service = parley.service(UsageService);
  }

  /** Adds everything up anew. */
  async refresh(): Promise<void> {
    clearTimeout(this.#soon);
    const asked = (this.#asked += 1);
    this.store.setState({ loading: true });
    const now = new Date();
    const timeZone = zone();
    const since = (start: Date, groupBy: UsageDimension[] = []) => this.#service.getUsage({ startTime: timestampFromDate(start), groupBy, timeZone });
    const day = (before: number) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - before);
    try {
      const [today, month, days, models, budgets] = await Promise.all([
        since(day(0)),
        since(new Date(now.getFullYear(), now.getMonth(), 1)),
        since(day(DAYS - 1), [UsageDimension.DAY]),
        since(day(DAYS - 1), [UsageDimension.MODEL]),
        this.#service.listBudgets({}),
      ]);
      if (asked !== this.#asked) return;
      const mostUsed = (one: UsageRow, other: UsageRow) => (tokens(one) < tokens(other) ? 1 : -1);
      this.store.setState({
        loaded: true,
        loading: false,
        error: undefined,
        today: today.total,
        month: month.total,
        days: days.rows,
        models: models.rows.toSorted(mostUsed),
        budgets: budgets.budgets,
      });
    } catch (thrown) {
      if (asked === this.#asked) this.store.setState({ loading: false, error: toParleyError(thrown) });
    }
  }

  /** Keeps it up to date while somebody looks. Returns what ends it. */
  watch(): () => void {
    this.#watchers += 1;
    void this.refresh();
    return () => {
      this.#watchers -= 1;
      clearTimeout(this.#soon);
    };
  }

  /** Adds up anew when an answer has ended or a budget has changed, here or on another device. */
  observe({ resourceType, resource }: Event): void {
    if (this.#watchers === 0) return;
    const answered = resource.case === "message" && resource.value.role === Role.ASSISTANT && resource.value.state !== MessageState.STREAMING;
    if (!answered && resourceType !== ResourceType.BUDGET) return;
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => void this.refresh(), SOON_MS);
  }

  /** What happened for a while is not known. */
  renew(): void {
    if (this.#watchers > 0) void this.refresh();
  }

  /** Sets a budget: a new one, or other limits of one that there is. Throws ParleyError. */
  async set({ name, period, cost, tokens: most }: BudgetFields, budget?: Budget): Promise<void> {
    const limits = { ...(cost === undefined ? {} : { limitCostUsdMicros: cost }), ...(most === undefined ? {} : { limitTokens: most }) };
    if (budget) {
      const paths = ["name", "limit_cost_usd_micros", "limit_tokens"];
      await this.#service.updateBudget({ budgetId: budget.budgetId, name, ...limits, updateMask: { paths } });
    } else await this.#service.createBudget({ name, period, timeZone: zone(), ...limits });
    await this.refresh();
  }

  /** Deletes a budget. Throws ParleyError. */
  async remove(budgetId: string): Promise<void> {
    await this.#service.deleteBudget({ budgetId });
    this.store.setState({ budgets: this.store.getState().budgets.filter((budget) => budget.budgetId !== budgetId) });
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    clearTimeout(this.#soon);
    this.#asked += 1;
    this.store.setState(EMPTY, true);
  }
}

/** What was read and written together. */
export function tokens({ inputTokens, outputTokens }: UsageRow): bigint {
  return inputTokens + outputTokens;
}

function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
