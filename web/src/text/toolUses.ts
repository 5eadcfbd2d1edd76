/** What a use of a tool is, in words for a person. */
import type { ToolUse } from "@parley/protos/parley/chat/v1/message_pb";

/** A use of a tool, also one that has not returned. */
export type ToolUseShown = Pick<ToolUse, "toolCallId" | "tool" | "argumentsJson" | "resultJson" | "failed">;

type Facts = Readonly<Record<string, unknown>>;

const DONE: Readonly<Record<string, string>> = {
  create_task: "Created the task",
  update_task: "Changed the task",
  complete_task: "Completed the task",
  reopen_task: "Opened the task again",
  delete_task: "Deleted the task",
};
const RUNNING: Readonly<Record<string, string>> = {
  create_task: "Creating a task",
  list_tasks: "Looking at your tasks",
  update_task: "Changing a task",
  complete_task: "Completing a task",
  reopen_task: "Opening a task again",
  delete_task: "Deleting a task",
};

/** One line: what the tool does, did, or could not do. */
export function wordsForToolUse({ tool, argumentsJson, resultJson, failed }: ToolUseShown): string {
  if (!resultJson) return `${RUNNING[tool] ?? `Using ${name(tool)}`}…`;
  const result = facts(resultJson);
  if (failed) return `${name(tool, true)} did not work: ${text(facts(result["error"])["message"]) || "no reason was given"}`;
  if (tool === "list_tasks") {
    const tasks = result["tasks"];
    const count = Array.isArray(tasks) ? tasks.length : 0;
    return count === 0 ? "Looked at your tasks: there are none" : `Looked at your tasks: ${count}`;
  }
  const task = facts(result["task"]);
  const title = text(task["title"]) || text(facts(argumentsJson)["title"]);
  const due = dueTime(task);
  const done = DONE[tool] ?? `Used ${name(tool)}`;
  return `${done}${title ? ` “${title}”` : ""}${due ? `, due ${due}` : ""}`;
}

/** JSON as people read it; what is none, as it is. */
export function readableJson(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), undefined, 2);
  } catch {
    return json;
  }
}

function dueTime(task: Facts): string {
  const due = new Date(text(task["due_time"]));
  if (Number.isNaN(due.getTime())) return "";
  return due.toLocaleString(undefined, { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });
}

function name(tool: string, capital = false): string {
  const words = tool.replaceAll("_", " ");
  return capital ? words.charAt(0).toUpperCase() + words.slice(1) : words;
}

function facts(value: unknown): Facts {
  let read = value;
  if (typeof value === "string") {
    try {
      read = JSON.parse(value);
    } catch {
      return {};
    }
  }
  return typeof read === "object" && read !== null && !Array.isArray(read) ? (read as Facts) : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
