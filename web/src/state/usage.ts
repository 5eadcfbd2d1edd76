/** What models took and cost, and the budgets that bound it. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { timestampFromDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import { ResourceType, type Event } from "@parley/protos/parley/events/v1/event_pb";
import type { Budget, BudgetPeriod } from "@parley/protos/parley/budget/v1/budget_pb";
import { MessageState, Role } from "@parley/protos/parley/chat/v1/message_pb";
import { UsageDimension, UsageService, type UsageRow } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { createStore } from "zustand/vanilla";
import { dayFrom, daysBetween, type Day, type Split } from "../text/usage";

/** What a form has of a budget. A limit is undefined when there is none. */
export interface BudgetFields {
  readonly name: string;
  readonly period: BudgetPeriod;
  readonly cost: bigint | undefined;
  readonly tokens: bigint | undefined;
}

/** Which days are looked at: the last so many, or from one to another, as `2026-11-21`, both included. */
export type Span = { readonly last: number } | { readonly first: string; readonly last: string };

export interface UsageState {
  readonly loaded: boolean;
  readonly loading: boolean;
  readonly error: ParleyError | undefined;
  readonly span: Span;
  /** What it is split by. */
  readonly split: Split;
  /** Only that of this project. Empty for all. */
  readonly project: string;
  /** Of today, by this device's clock. */
  readonly today: UsageRow | undefined;
  /** Of this calendar month. */
  readonly month: UsageRow | undefined;
  /** Of the span. */
  readonly total: UsageRow | undefined;
  /** The days of the span, as they were asked for. */
  readonly days: readonly Day[];
  /** Of the span, by day: those on which there was something. */
  readonly byDay: readonly UsageRow[];
  /** Of the span, by what it is split by, the most used first. */
  readonly parts: readonly UsageRow[];
  /** The split that `parts` are by: another one until they have come. */
  readonly partsBy: Split;
  /** Of the span, by day and part. */
  readonly partsByDay: readonly UsageRow[];
  readonly budgets: readonly Budget[];
}

const EMPTY: UsageState = {
  loaded: false,
  loading: false,
  error: undefined,
  span: { last: 30 },
  split: UsageDimension.MODEL,
  project: "",
  today: undefined,
  month: undefined,
  total: undefined,
  days: [],
  byDay: [],
  parts: [],
  partsBy: UsageDimension.MODEL,
  partsByDay: [],
  budgets: [],
};
/** The longest span that the server adds up, days. */
export const LONGEST = 400;
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
    const { span, split, project } = this.store.getState();
    const shared = { timeZone: zone(), projectId: project };
    const since = (start: Date) => this.#service.getUsage({ ...shared, startTime: timestampFromDate(start) });
    const { days, times } = rangeOf(span, now);
    const by = (...groupBy: UsageDimension[]) => this.#service.getUsage({ ...shared, ...times, groupBy });
    try {
      const [today, month, byDay, parts, partsByDay, budgets] = await Promise.all([
        since(new Date(now.getFullYear(), now.getMonth(), now.getDate())),
        since(new Date(now.getFullYear(), now.getMonth(), 1)),
        by(UsageDimension.DAY),
        by(split),
        by(UsageDimension.DAY, split),
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
        total: byDay.total,
        days,
        byDay: byDay.rows,
        parts: parts.rows.toSorted(mostUsed),
        partsBy: split,
        partsByDay: partsByDay.rows,
        budgets: budgets.budgets,
      });
    } catch (thrown) {
      if (asked === this.#asked) this.store.setState({ loading: false, error: toParleyError(thrown) });
    }
  }

  /** Looks at other days, splits by something else, or narrows to a project. */
  choose(choice: Partial<Pick<UsageState, "span" | "split" | "project">>): void {
    this.store.setState(choice);
    if (this.#watchers > 0) void this.refresh();
  }

  /** The figures by day and part as CSV. Throws ParleyError. */
  async table(): Promise<Uint8Array> {
    const { span, split, project } = this.store.getState();
    const { times } = rangeOf(span, new Date());
    const answer = await this.#service.getUsageTable({ ...times, projectId: project, timeZone: zone(), groupBy: [UsageDimension.DAY, split] });
    return answer.table?.data ?? new Uint8Array();
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

/** The days of a span, and its times: until now when it holds today. */
export function rangeOf(span: Span, now: Date): { days: Day[]; times: { startTime: Timestamp; endTime?: Timestamp } } {
  const today = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  if ("first" in span) {
    const first = dayFrom(span.first) ?? today;
    const last = dayFrom(span.last) ?? today;
    const end = new Date(last.getFullYear(), last.getMonth(), last.getDate() + 1);
    return { days: daysBetween(first, last), times: { startTime: timestampFromDate(first), ...(end < now ? { endTime: timestampFromDate(end) } : {}) } };
  }
  const first = new Date(now.getFullYear(), now.getMonth(), now.getDate() - span.last + 1);
  return { days: daysBetween(first, today), times: { startTime: timestampFromDate(first) } };
}

function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
