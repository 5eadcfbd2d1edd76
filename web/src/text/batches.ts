/** Batches in words, and prompts that were typed in as the lines that the server takes. */
import { BatchState, type Batch } from "@parley/protos/parley/chat/v1/batch_pb";

/** What the page sends at most: the server takes more, over other doors. */
export const FILE_BYTES = 20_000_000;
export const PROMPT_CHARACTERS = 200_000;

export const STATE_NAMES: Record<BatchState, string> = {
  [BatchState.UNSPECIFIED]: "",
  [BatchState.QUEUED]: "Waits for its turn",
  [BatchState.RUNNING]: "Is being written",
  [BatchState.PAUSED]: "Paused",
  [BatchState.CANCELLED]: "Cancelled",
  [BatchState.DONE]: "Done",
};

export function hasEnded({ state }: Batch): boolean {
  return state === BatchState.CANCELLED || state === BatchState.DONE;
}

/** Prompts, one on each line, as JSONL; lines that are JSON objects stay as they are. Empty lines are passed over. */
export function jsonLines(text: string): string {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  return lines.map((line) => (isObject(line) ? `${line.trim()}\n` : `${JSON.stringify({ prompt: line.trim() })}\n`)).join("");
}

/** How many of its lines have ended, in words. */
export function progressWords({ totalCount, completedCount, failedCount, cancelledCount, runningCount }: Batch): string {
  const parts = [`${completedCount.toLocaleString("en-US")} of ${totalCount.toLocaleString("en-US")} written`];
  if (runningCount > 0) parts.push(`${runningCount} in work`);
  if (failedCount > 0) parts.push(`${failedCount.toLocaleString("en-US")} failed`);
  if (cancelledCount > 0) parts.push(`${cancelledCount.toLocaleString("en-US")} cancelled`);
  return parts.join(", ");
}

/** Where a line is at fault: `lines[7].prompt` is "Line 7, prompt". */
export function placeWords(field: string): string {
  const [, line, rest] = /^lines\[(\d+)\]\.?(.*)$/.exec(field) ?? [];
  if (!line) return field;
  return `Line ${Number(line).toLocaleString("en-US")}${rest ? `, ${rest}` : ""}`;
}

function isObject(line: string): boolean {
  if (!line.trim().startsWith("{")) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
