/** What a use of a tool is, in words for a person. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { ToolUse } from "@parley/protos/parley/chat/v1/message_pb";
import { ToolApprovalState, type ToolEffect } from "@parley/protos/parley/chat/v1/tool_pb";

/** A use of a tool, also one that has not returned. */
export type ToolUseShown = Pick<ToolUse, "toolCallId" | "tool" | "argumentsJson" | "resultJson" | "failed" | "approval" | "editedArgumentsJson"> & {
  /** What the user is asked, while they are. */
  readonly asked?: { readonly effect: ToolEffect; readonly expireTime: Timestamp | undefined };
  /** Why the user denied it, as far as this page was told. */
  readonly denial?: string;
};

type Facts = Readonly<Record<string, unknown>>;

const DONE: Readonly<Record<string, string>> = {
  create_task: "Created the task",
  update_task: "Changed the task",
  complete_task: "Completed the task",
  reopen_task: "Opened the task again",
  delete_task: "Deleted the task",
  create_project: "Made the project",
  create_event: "Put into the calendar:",
  update_event: "Changed the meeting",
  delete_event: "Deleted the meeting",
  get_meeting: "Looked at the meeting",
};
const RUNNING: Readonly<Record<string, string>> = {
  create_task: "Creating a task",
  list_tasks: "Looking at your tasks",
  update_task: "Changing a task",
  complete_task: "Completing a task",
  reopen_task: "Opening a task again",
  delete_task: "Deleting a task",
  create_project: "Making a project",
  list_projects: "Looking at your projects",
  create_event: "Putting a meeting into the calendar",
  update_event: "Changing a meeting",
  delete_event: "Deleting a meeting",
  list_meetings: "Looking at your calendar",
  get_meeting: "Looking at a meeting",
  search_documents: "Searching your documents",
};

const ASKED: Readonly<Record<string, string>> = {
  create_task: "Create the task",
  update_task: "Change the task",
  complete_task: "Complete the task",
  reopen_task: "Open the task again",
  delete_task: "Delete the task",
  create_project: "Make the project",
  create_event: "Put into the calendar:",
  update_event: "Change the meeting",
  delete_event: "Delete the meeting",
};

/** The tools that list things, by what they return and what that is called. */
const LISTS: Readonly<Record<string, { readonly field: string; readonly looked: string }>> = {
  list_tasks: { field: "tasks", looked: "Looked at your tasks" },
  list_projects: { field: "projects", looked: "Looked at your projects" },
  list_meetings: { field: "meetings", looked: "Looked at your calendar" },
  search_documents: { field: "passages", looked: "Searched your documents" },
};

/** One line: what the user is asked to let a tool do. `subject`: what the thing is called that it does it to, when its arguments name it by its id. */
export function wordsForRequest({ tool, argumentsJson }: ToolUseShown, subject = ""): string {
  const title = subject || text(facts(argumentsJson)["title"]);
  return `${ASKED[tool] ?? name(tool, true)}${title ? ` “${title}”` : ""}?`;
}

/** What became of the question to the user, in words; undefined when nobody was asked, or nobody has decided yet. */
export function wordsForApproval({ approval, editedArgumentsJson, denial }: ToolUseShown): string | undefined {
  switch (approval) {
    case ToolApprovalState.APPROVED:
      return editedArgumentsJson ? "You approved it with changes" : "You approved it";
    case ToolApprovalState.DENIED:
      return denial ? `You denied it: ${denial}` : "You denied it";
    case ToolApprovalState.EXPIRED:
      return "Nobody decided in time, so it did not run";
    case ToolApprovalState.CLOSED:
      return "The answer ended before you decided, so it did not run";
    default:
      return undefined;
  }
}

/** What a tool is called with, name by name, for a person. Empty when it is none, or no object. */
export function argumentFacts(json: string): [string, string][] {
  return Object.entries(facts(json)).map(([key, value]) => [name(key, true), typeof value === "string" ? value : (JSON.stringify(value, undefined, 2) ?? "")]);
}

/** What is wrong with a text that should be a JSON object; undefined when it is one. */
export function jsonFault(json: string): string | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? undefined : "This has to be a JSON object: { … }.";
  } catch (thrown) {
    return `This is no JSON yet: ${thrown instanceof Error ? thrown.message : "it cannot be read"}.`;
  }
}

/** One line: what the tool does, did, or could not do. */
export function wordsForToolUse(use: ToolUseShown): string {
  const { tool, resultJson, failed } = use;
  const argumentsJson = use.editedArgumentsJson || use.argumentsJson;
  const undone = use.approval !== ToolApprovalState.APPROVED ? wordsForApproval(use) : undefined;
  if (undone) return `${name(tool, true)}: ${undone.charAt(0).toLowerCase()}${undone.slice(1)}`;
  if (!resultJson) return `${RUNNING[tool] ?? `Using ${name(tool)}`}…`;
  const result = facts(resultJson);
  if (failed) return `${name(tool, true)} did not work: ${text(facts(result["error"])["message"]) || "no reason was given"}`;
  const list = LISTS[tool];
  if (list) {
    const found = result[list.field];
    const count = Array.isArray(found) ? found.length : 0;
    return count === 0 ? `${list.looked}: there are none` : `${list.looked}: ${count}`;
  }
  const task = facts(result["task"] ?? result["event"] ?? result["meeting"] ?? result["project"]);
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
