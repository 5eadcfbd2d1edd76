/** Lead scoring in words: what a table of leads holds, how good a model is, and what a score says. */
import { ColumnKind, type ScoringModel, type ScoringQuality } from "@parley/protos/parley/inference/v1/scoring_service_pb";
import type { Table } from "./table";

/** What the server takes of a table to train with. */
export const TRAINING_BOUNDS = { bytes: 3_000_000, rows: 20_000, columns: 201 } as const;
/** What the page scores in one go: the server takes 1,000 rows a call. */
export const SCORING_BOUNDS = { bytes: 10_000_000, rows: 20_000, columns: 400 } as const;

export const KIND_NAMES: Partial<Record<ColumnKind, string>> = {
  [ColumnKind.UNSPECIFIED]: "Found out by itself",
  [ColumnKind.NUMERIC]: "Numbers",
  [ColumnKind.CATEGORICAL]: "One of few words",
  [ColumnKind.TEXT]: "Free text",
  [ColumnKind.IGNORED]: "Left out",
};

const LABELS = ["won", "converted", "label", "outcome", "result", "closed", "target", "success", "bought", "status"];
const POSITIVE = ["1", "true", "yes", "won", "converted"];
/** More values than these in a label, and a choice of them is no help. */
const VALUES_SHOWN = 50;

/** The values of a column, without those that are missing, the most frequent first. */
export function valuesOf(table: Table, column: string): string[] {
  const at = table.names.indexOf(column);
  const counted = new Map<string, number>();
  for (const row of table.rows) {
    const value = row[at]?.trim();
    if (value) counted.set(value, (counted.get(value) ?? 0) + 1);
  }
  return [...counted].sort(([, one], [, other]) => other - one).map(([value]) => value).slice(0, VALUES_SHOWN);
}

/** The column that most likely says how each lead ended: of those with two values, the one that is called so, else the last. */
export function guessLabel(table: Table): string {
  const two = table.names.filter((name) => valuesOf(table, name).length === 2);
  return LABELS.map((word) => two.find((name) => name.toLowerCase() === word)).find(Boolean) ?? two.at(-1) ?? table.names.at(-1) ?? "";
}

/** The value that most likely counts as good. Empty when none is called so. */
export function guessPositive(values: readonly string[]): string {
  return values.find((value) => POSITIVE.includes(value.toLowerCase())) ?? "";
}

/** A name that a model may have, from that of a file: `Deals 2026.csv` is `deals-2026`. */
export function modelName(fileName: string): string {
  const words = fileName.replace(/\.[^.]*$/, "").normalize("NFKD").toLowerCase();
  return words.replaceAll(/[^a-z0-9_]+/g, "-").replaceAll(/^-+|-+$/g, "").slice(0, 64) || "leads";
}

/** What is wrong with a name. Undefined when nothing is. */
export function nameFault(name: string): string | undefined {
  return /^[a-z0-9_-]{1,64}$/.test(name) ? undefined : "A name has 1 to 64 of a–z, 0–9, “-” and “_”.";
}

/** How good a model tells good leads from others, in words. */
export function verdict({ auc }: ScoringQuality): { words: string; good: boolean } {
  if (auc < 0.6) return { words: "Hardly better than chance", good: false };
  if (auc < 0.7) return { words: "Weak", good: false };
  if (auc < 0.8) return { words: "Fair", good: true };
  return { words: auc < 0.9 ? "Good" : "Very good", good: true };
}

/** What the area under the curve means for two leads. */
export function aucWords({ auc }: ScoringQuality): string {
  return `Of a good lead and another, the good one has the higher score ${Math.round(auc * 100)} times of 100. Chance would be 50.`;
}

/** What the Brier score means. */
export function brierWords({ brierScore, baselineBrierScore }: ScoringQuality): string {
  if (baselineBrierScore <= 0) return "";
  const less = Math.round((1 - brierScore / baselineBrierScore) * 100);
  return less > 0
    ? `Its mean squared error, ${less} % less than without a model (${baselineBrierScore.toFixed(3)}).`
    : `Its mean squared error, no less than without a model (${baselineBrierScore.toFixed(3)}).`;
}

/** 73 %: a score. Never 0 % or 100 %, which no model knows. */
export function percent(score: number): string {
  if (score > 0 && score < 0.005) return "below 1 %";
  if (score < 1 && score > 0.995) return "above 99 %";
  return `${Math.round(score * 100)} %`;
}

/** +0.82, −1.30: how far a column moved a score, in log-odds. */
export function signed(contribution: number): string {
  const digits = Math.abs(contribution).toFixed(2);
  return digits === "0.00" ? digits : `${contribution < 0 ? "−" : "+"}${digits}`;
}

/** A row as the server scores it: values by column, without those that are missing. */
export function leadOf(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name, index) => (values[index]?.trim() ? [[name, values[index]]] : [])));
}

/** Which columns of a model a table does not have, and how many it has. */
export function missingColumns(model: ScoringModel, names: readonly string[]): { missing: string[]; known: number } {
  const used = model.columns.filter(({ kind }) => kind !== ColumnKind.IGNORED);
  const missing = used.filter(({ name }) => !names.includes(name)).map(({ name }) => name);
  return { missing, known: used.length - missing.length };
}
