/** What a use of a tool is, in words. */
import { expect, test } from "vitest";
import { ToolApprovalState } from "@parley/protos/parley/chat/v1/tool_pb";
import { argumentFacts, jsonFault, readableJson, wordsForApproval, wordsForRequest, wordsForToolUse } from "../src/text/toolUses";

const use = (tool: string, result: unknown = undefined, failed = false, argumentsJson = '{"title": "Pay"}') => ({
  toolCallId: "call_1",
  tool,
  argumentsJson,
  resultJson: result === undefined ? "" : JSON.stringify(result),
  failed,
  approval: ToolApprovalState.UNSPECIFIED,
  editedArgumentsJson: "",
});

test("a tool that runs is told as running", () => {
  expect(wordsForToolUse(use("create_task"))).toBe("Creating a task…");
  expect(wordsForToolUse(use("look_up_weather"))).toBe("Using look up weather…");
});

test("a tool that has run tells what it did to what", () => {
  expect(wordsForToolUse(use("create_task", { task: { title: "Pay" } }))).toBe("Created the task “Pay”");
  expect(wordsForToolUse(use("create_task", { task: { title: "Pay", due_time: "2026-11-22T08:00:00Z" } }))).toMatch(/^Created the task “Pay”, due .*22/);
  expect(wordsForToolUse(use("delete_task", {}, false, '{"task_id": "tsk_1"}'))).toBe("Deleted the task");
  expect(wordsForToolUse(use("list_tasks", { tasks: [{}, {}] }))).toBe("Looked at your tasks: 2");
  expect(wordsForToolUse(use("list_tasks", {}))).toBe("Looked at your tasks: there are none");
});

test("a tool that failed tells why", () => {
  expect(wordsForToolUse(use("create_task", { error: { message: "title must not be blank." } }, true))).toBe("Create task did not work: title must not be blank.");
  expect(wordsForToolUse(use("create_task", { error: "odd" }, true))).toBe("Create task did not work: no reason was given");
});

test("what a model wrote that is no JSON is shown as it is", () => {
  expect(wordsForToolUse(use("create_task", { task: {} }, false, "not json"))).toBe("Created the task");
  expect(readableJson("not json")).toBe("not json");
  expect(readableJson('{"a":1}')).toBe('{\n  "a": 1\n}');
});

test("what the user is asked, and what became of it, has words", () => {
  expect(wordsForRequest(use("delete_task"))).toBe("Delete the task “Pay”?");
  expect(wordsForRequest(use("delete_task", undefined, false, '{"task_id": "tsk_1"}'), "Call Kai")).toBe("Delete the task “Call Kai”?");
  expect(wordsForToolUse(use("list_meetings", { meetings: [{}] }))).toBe("Looked at your calendar: 1");
  expect(wordsForToolUse(use("create_event", { event: { title: "Lunch" } }))).toBe("Put into the calendar: “Lunch”");
  expect(wordsForRequest(use("send_mail", undefined, false, "{}"))).toBe("Send mail?");
  const failed = { error: { message: "denied" } };
  const denied = { ...use("delete_task", failed, true), approval: ToolApprovalState.DENIED, denial: "not that one" };
  expect(wordsForToolUse(denied)).toBe("Delete task: you denied it: not that one");
  expect(wordsForToolUse({ ...use("delete_task", failed, true), approval: ToolApprovalState.EXPIRED })).toBe("Delete task: nobody decided in time, so it did not run");
  const edited = { ...use("create_task", { task: {} }), approval: ToolApprovalState.APPROVED, editedArgumentsJson: '{"title": "Pay all"}' };
  expect(wordsForToolUse(edited)).toBe("Created the task “Pay all”");
  expect(wordsForApproval(edited)).toBe("You approved it with changes");
  expect(wordsForApproval(use("create_task"))).toBeUndefined();
});

test("arguments are read name by name, and what is no JSON object is told", () => {
  expect(argumentFacts('{"task_id": "tsk_1", "days": [1]}')).toEqual([["Task id", "tsk_1"], ["Days", "[\n  1\n]"]]);
  expect(argumentFacts("nonsense")).toEqual([]);
  expect(jsonFault('{"a": 1}')).toBeUndefined();
  expect(jsonFault("[1]")).toBe("This has to be a JSON object: { … }.");
  expect(jsonFault('{"a": ')).toMatch(/^This is no JSON yet: /);
});
