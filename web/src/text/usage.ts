/** Usage as plots and tables show it: which figures there are, by what they are split, on which days, and how high a plot has to be. */
import { Route } from "@parley/protos/parley/chat/v1/message_pb";
import { UsageDimension, UsagePurpose, type UsageRow } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { count, dollars, duration } from "./figures";

export type Measure = "cost" | "tokens" | "requests" | "first" | "whole";

/** The figures, in the order of the page. Those that add up are stacked; times are not. */
export const MEASURES: readonly { measure: Measure; name: string; long: string; adds: boolean }[] = [
  { measure: "cost", name: "Cost", long: "Cost", adds: true },
  { measure: "tokens", name: "Tokens", long: "Tokens", adds: true },
  { measure: "requests", name: "Requests", long: "Requests", adds: true },
  { measure: "first", name: "First word", long: "Time to the first word, the median", adds: false },
  { measure: "whole", name: "Whole answer", long: "Time to the end, the median", adds: false },
];

export type Split = UsageDimension.MODEL | UsageDimension.ROUTE | UsageDimension.PURPOSE | UsageDimension.PROJECT;

export const SPLITS: readonly { split: Split; name: string }[] = [
  { split: UsageDimension.MODEL, name: "Model" },
  { split: UsageDimension.ROUTE, name: "Route" },
  { split: UsageDimension.PURPOSE, name: "Purpose" },
  { split: UsageDimension.PROJECT, name: "Project" },
];

/** The value of a figure: millionths of a US dollar, a number, or milliseconds. */
export function valueOf(measure: Measure, row: UsageRow): number {
  if (measure === "cost") return Number(row.costUsdMicros);
  if (measure === "tokens") return Number(row.inputTokens + row.outputTokens);
  if (measure === "requests") return Number(row.requestCount);
  return Number(measure === "first" ? row.timeToFirstTokenP50Ms : row.durationP50Ms);
}

/** A value in words: $0.12, 1,200, 840 ms. */
export function show(measure: Measure, value: number): string {
  if (measure === "cost") return dollars(BigInt(Math.round(value)));
  return measure === "tokens" || measure === "requests" ? count(Math.round(value)) : duration(value);
}

const ROUTES: Partial<Record<Route, string>> = { [Route.STANDARD]: "Standard", [Route.ENHANCED]: "Enhanced" };

const PURPOSES: Partial<Record<UsagePurpose, string>> = {
  [UsagePurpose.ANSWER]: "Answers",
  [UsagePurpose.TEXT]: "Texts without a conversation",
  [UsagePurpose.CONTENT]: "Content",
  [UsagePurpose.AGENT]: "Agents",
  [UsagePurpose.SUGGESTION]: "Suggestions",
  [UsagePurpose.TITLE]: "Titles",
  [UsagePurpose.BATCH]: "Batches",
};

/** What a row is of. */
export function partOf(split: Split, row: UsageRow, titleOf: (projectId: string) => string): string {
  if (split === UsageDimension.MODEL) return row.model || "No model";
  if (split === UsageDimension.ROUTE) return ROUTES[row.route] ?? "No route";
  if (split === UsageDimension.PURPOSE) return PURPOSES[row.purpose] ?? "Others";
  return row.projectId ? titleOf(row.projectId) || "A deleted project" : "No project";
}

export interface Day {
  /** As in UsageRow: `2026-11-21`. */
  readonly key: string;
  readonly date: Date;
}

/** A date as fields and rows have it: `2026-11-21`. */
export function dayKey(date: Date): string {
  const two = (number: number) => String(number).padStart(2, "0");
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Midnight of a day, by this device's clock. Undefined when the text is none. */
export function dayFrom(key: string): Date | undefined {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(key) ?? [];
  if (!year) return undefined;
  const date = new Date(Number(year), Number(month) - 1, Number(day));
  return dayKey(date) === key ? date : undefined;
}

/** Every day from one to another, both included, at most 400. */
export function daysBetween(first: Date, last: Date): Day[] {
  const days: Day[] = [];
  for (let date = new Date(first.getFullYear(), first.getMonth(), first.getDate()); date <= last && days.length < 400; ) {
    days.push({ key: dayKey(date), date });
    date = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1);
  }
  return days;
}

export interface Series {
  readonly name: string;
  /** One for each day. Undefined where nothing was. */
  readonly values: readonly (number | undefined)[];
  /** Of the whole span. */
  readonly whole: number;
}

/** How many series a plot tells apart. */
export const MOST_SERIES = 6;

/**
 * The series of a plot, the largest first. What is beyond the sixth is put together as "Others" when it adds up, and left to the table when it does not.
 * @param rows of each day and part. @param parts of the whole span.
 */
export function seriesOf(measure: Measure, days: readonly Day[], rows: readonly UsageRow[], parts: readonly UsageRow[], nameOf: (row: UsageRow) => string): Series[] {
  const adds = MEASURES.some((each) => each.measure === measure && each.adds);
  const places = new Map(days.map(({ key }, index) => [key, index]));
  const made = new Map<string, { values: (number | undefined)[]; whole: number }>();
  const of = (row: UsageRow) => {
    const name = nameOf(row);
    const found = made.get(name) ?? { values: days.map(() => undefined), whole: 0 };
    made.set(name, found);
    return found;
  };
  for (const part of parts) of(part).whole += valueOf(measure, part);
  for (const row of rows) {
    const place = places.get(row.day);
    const value = valueOf(measure, row);
    // A time of 0 is none: no request came to a text.
    if (place === undefined || (!adds && value === 0)) continue;
    const { values } = of(row);
    values[place] = (values[place] ?? 0) + value;
  }
  const all = [...made].map(([name, { values, whole }]) => ({ name, values, whole })).sort((one, other) => other.whole - one.whole);
  if (all.length <= MOST_SERIES) return all;
  if (!adds) return all.slice(0, MOST_SERIES);
  const rest = all.slice(MOST_SERIES - 1);
  const values = days.map((_, index) => rest.reduce<number | undefined>((sum, each) => (each.values[index] === undefined ? sum : (sum ?? 0) + each.values[index]), undefined));
  return [...all.slice(0, MOST_SERIES - 1), { name: "Others", values, whole: rest.reduce((sum, { whole }) => sum + whole, 0) }];
}

/** The top of a plot whose highest value this is, a round number whose half is round too. At least 2. */
export function topOf(highest: number): number {
  if (!(highest > 2)) return 2;
  const power = 10 ** Math.floor(Math.log10(highest));
  const steps = power === 1 ? [2, 4, 6, 8, 10] : [1, 2, 3, 4, 6, 8, 10];
  return steps.map((step) => step * power).find((top) => top >= highest) ?? 10 * power;
}
