/** Tasks: what is done here, by the assistant or on another device shows in one list. And the words for them. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient } from "@parley/client";
import { Action, EventSchema, ResourceType, type Event } from "@parley/protos/parley/events/v1/event_pb";
import { EventService } from "@parley/protos/parley/events/v1/event_service_pb";
import { TaskPriority, TaskSchema, TaskState, type Task } from "@parley/protos/parley/workspace/v1/task_pb";
import { TaskService, type CreateTaskRequest, type UpdateTaskRequest } from "@parley/protos/parley/workspace/v1/task_service_pb";
import { expect, test } from "vitest";
import { Reminders } from "../src/state/reminders";
import { changedFields, Tasks, type TaskFields } from "../src/state/tasks";
import { dueOf, dueOn, dueWords, fromField, inOrder, recurrenceWords, remindWords, toField } from "../src/text/tasks";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };
const FIELDS: TaskFields = { title: "Pay", notes: "", due: undefined, priority: TaskPriority.NORMAL, recurrence: "", remindMinutesBefore: [] };

const task = (name: string, more: MessageInitShape<typeof TaskSchema> = {}) =>
  create(TaskSchema, { taskId: `tsk_${name}`, title: name, state: TaskState.OPEN, priority: TaskPriority.NORMAL, updateTime: timestampFromMs(1000), ...more });

/** A workspace in this process. */
class Workspace {
  readonly stored = new Map<string, Task>();
  readonly created: CreateTaskRequest[] = [];
  readonly updated: UpdateTaskRequest[] = [];
  events: Event[] = [];
  readonly asked: number[] = [];
  refuse = false;
  held: Promise<void> | undefined;
  readonly parley = new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) =>
      createRouterTransport(
        ({ service }) => {
          service(TaskService, {
            listTasks: async ({ state }) => {
              const tasks = [...this.stored.values()].filter((each) => each.state === state);
              await this.held;
              return { tasks };
            },
            createTask: (request) => {
              this.created.push(request);
              return { task: this.put(task("new", { title: request.title })) };
            },
            updateTask: (request) => {
              this.updated.push(request);
              return { task: this.put({ ...this.stored.get(request.taskId)!, title: request.title }) };
            },
            completeTask: ({ taskId }) => {
              if (this.refuse) throw new ConnectError("no", Code.Unavailable);
              const next = this.put(task("next"));
              return { task: this.put({ ...this.stored.get(taskId)!, state: TaskState.COMPLETED }), nextTask: next };
            },
            reopenTask: ({ taskId }) => ({ task: this.put({ ...this.stored.get(taskId)!, state: TaskState.OPEN }) }),
            deleteTask: ({ taskId }) => {
              this.stored.delete(taskId);
              return {};
            },
          });
          service(EventService, {
            listEvents: ({ afterSequence, pageSize }) => {
              this.asked.push(Number(afterSequence));
              const page = this.events.filter(({ sequence }) => sequence > afterSequence).slice(0, Math.min(pageSize, 2));
              return { events: page, nextAfterSequence: page.at(-1)?.sequence ?? BigInt(this.events.length), newestSequence: BigInt(this.events.length) };
            },
          });
        },
        { transport: { interceptors } },
      ),
  });

  put(stored: Task): Task {
    this.stored.set(stored.taskId, stored);
    return stored;
  }

  event(action: Action, told: Task, more: MessageInitShape<typeof EventSchema> = {}): Event {
    const event = create(EventSchema, {
      sequence: BigInt(this.events.length + 1),
      time: timestampFromMs(Date.now()),
      action,
      resourceType: ResourceType.TASK,
      resourceId: told.taskId,
      ...(action === Action.DELETED ? {} : { resource: { case: "task", value: told } }),
      ...more,
    });
    this.events.push(event);
    return event;
  }
}

const titles = (tasks: Tasks, state = TaskState.OPEN) =>
  [...tasks.store.getState().tasks.values()].filter((each) => each.state === state).map(({ title }) => title);

test("a task is added, changed, done, opened again and deleted", async () => {
  const workspace = new Workspace();
  const tasks = new Tasks(workspace.parley);
  await tasks.refresh();
  const added = await tasks.add({ ...FIELDS, due: new Date(2027, 0, 2, 9), remindMinutesBefore: [10] });
  expect(workspace.created[0]).toMatchObject({ title: "Pay", remindMinutesBefore: [10], timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone });
  await tasks.change(added!, { ...FIELDS, title: "Pay all" });
  expect(workspace.updated[0]?.updateMask?.paths).toEqual(["title"]);
  expect(titles(tasks)).toEqual(["Pay all"]);
  await tasks.complete(tasks.store.getState().tasks.get("tsk_new")!);
  expect(titles(tasks, TaskState.COMPLETED)).toEqual(["Pay all"]);
  expect(titles(tasks)).toEqual(["next"]);
  await tasks.complete(tasks.store.getState().tasks.get("tsk_new")!, false);
  expect(titles(tasks)).toEqual(["Pay all", "next"]);
  await tasks.remove("tsk_new");
  expect(titles(tasks)).toEqual(["next"]);
});

test("a task that cannot be marked as done is open again", async () => {
  const workspace = new Workspace();
  workspace.put(task("one"));
  workspace.refuse = true;
  const tasks = new Tasks(workspace.parley);
  await tasks.refresh();
  const completing = tasks.complete(tasks.store.getState().tasks.get("tsk_one")!);
  expect(titles(tasks)).toEqual([]);
  await expect(completing).rejects.toThrow();
  expect(titles(tasks)).toEqual(["one"]);
});

test("what the assistant does shows, and a list that was asked for before does not take it back", async () => {
  const workspace = new Workspace();
  workspace.put(task("gone"));
  const tasks = new Tasks(workspace.parley);
  await tasks.refresh();
  let release = () => {};
  workspace.held = new Promise((resolve) => (release = resolve));
  const refreshed = tasks.refresh();
  tasks.observe(workspace.event(Action.CREATED, task("made")));
  tasks.observe(workspace.event(Action.DELETED, task("gone")));
  expect(titles(tasks)).toEqual(["made"]);
  release();
  await refreshed;
  expect(titles(tasks)).toEqual(["made"]);
  tasks.observe(workspace.event(Action.UPDATED, task("made", { title: "older", updateTime: timestampFromMs(1) })));
  expect(titles(tasks)).toEqual(["made"]);
});

test("a form sends what was changed, and the zone only with a new time", () => {
  const before = task("one", { dueTime: timestampFromMs(60_000 * 1000 + 15_000), timeZone: "Asia/Tokyo", remindMinutesBefore: [60, 10], recurrence: "FREQ=DAILY" });
  const same: TaskFields = { ...FIELDS, title: "one", due: new Date(60_000 * 1000), recurrence: "FREQ=DAILY", remindMinutesBefore: [10, 60] };
  expect(changedFields(before, same)).toEqual([]);
  expect(changedFields(before, { ...same, due: new Date(60_000 * 2000) })).toEqual(["due_time", "time_zone"]);
  expect(changedFields(before, { ...same, due: undefined, recurrence: "", remindMinutesBefore: [] })).toEqual(["due_time", "recurrence", "remind_minutes_before"]);
});

/** What a browser keeps. */
function storage() {
  const kept = new Map<string, string>();
  return { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
}

const shown = (reminders: Reminders) => reminders.store.getState().reminders.map((reminder) => reminder.task.title);

test("a reminder stays until it is dismissed, its task is done, or put off", () => {
  const workspace = new Workspace();
  const reminders = new Reminders(workspace.parley, storage());
  for (const name of ["one", "two", "three"]) reminders.observe(workspace.event(Action.REMINDED, task(name, { dueTime: timestampFromMs(5000) })));
  expect(shown(reminders)).toEqual(["one", "two", "three"]);
  reminders.dismiss(1);
  reminders.observe(workspace.event(Action.UPDATED, task("two", { state: TaskState.COMPLETED })));
  reminders.observe(workspace.event(Action.UPDATED, task("three", { title: "drei", dueTime: timestampFromMs(5000) })));
  expect(shown(reminders)).toEqual(["drei"]);
  reminders.observe(workspace.event(Action.UPDATED, task("three", { dueTime: timestampFromMs(9_000_000) })));
  expect(shown(reminders)).toEqual([]);
});

test("what came while the page was closed shows, but not what was dismissed, done or long ago", async () => {
  const workspace = new Workspace();
  const kept = storage();
  workspace.event(Action.REMINDED, task("long ago"), { time: timestampFromMs(Date.now() - 40 * 86_400_000) });
  workspace.event(Action.REMINDED, task("done"));
  workspace.event(Action.REMINDED, task("waiting"));
  workspace.event(Action.REMINDED, task("dismissed"));
  workspace.event(Action.UPDATED, task("done", { state: TaskState.COMPLETED }));
  const first = new Reminders(workspace.parley, kept);
  await first.lookBack(workspace.events.length);
  expect(shown(first)).toEqual(["waiting", "dismissed"]);
  first.dismiss(4);

  const again = new Reminders(workspace.parley, kept);
  await again.lookBack(workspace.events.length);
  expect(shown(again)).toEqual(["waiting"]);
  again.dismiss(3);

  workspace.asked.length = 0;
  const last = new Reminders(workspace.parley, kept);
  await last.lookBack(workspace.events.length);
  expect(shown(last)).toEqual([]);
  // Everything was seen: nothing is asked for.
  expect(workspace.asked).toEqual([]);
});

test("what one tab dismisses is gone from the other", () => {
  const workspace = new Workspace();
  const kept = storage();
  const [here, there] = [new Reminders(workspace.parley, kept), new Reminders(workspace.parley, kept)];
  const event = workspace.event(Action.REMINDED, task("one"));
  here.observe(event);
  there.observe(event);
  here.dismiss(1);
  there.reread();
  expect(shown(there)).toEqual([]);
});

const NOW = new Date(2026, 10, 21, 12, 0);
const due = (...parts: [number, number, number, number?, number?]) => task("t", { dueTime: timestampFromDate(new Date(...parts)) });

test("tasks stand under when they are due, those that matter most first", () => {
  expect(dueOf(due(2026, 10, 21, 11, 59), NOW)).toBe("Overdue");
  expect(dueOf(due(2026, 10, 21, 23, 59), NOW)).toBe("Today");
  expect(dueOf(due(2026, 10, 22), NOW)).toBe("Tomorrow");
  expect(dueOf(due(2026, 10, 28), NOW)).toBe("Next 7 days");
  expect(dueOf(due(2026, 10, 29), NOW)).toBe("Later");
  expect(dueOf(task("t"), NOW)).toBe("No date");
  const tasks = [task("none"), task("high", { priority: TaskPriority.HIGH }), task("later", { dueTime: timestampFromMs(9000) }), task("soon", { dueTime: timestampFromMs(1000) })];
  expect(inOrder(tasks).map(({ title }) => title)).toEqual(["soon", "later", "high", "none"]);
});

test("due times have words", () => {
  expect(dueWords(due(2026, 10, 21, 11), NOW)).toMatch(/^Overdue since today 11:00/);
  expect(dueWords(due(2026, 10, 22, 9), NOW)).toMatch(/^Due tomorrow 9:00/);
  expect(dueWords(due(2027, 2, 3, 9), NOW)).toMatch(/^Due Mar 3, 2027 9:00/);
  expect(dueWords({ ...due(2026, 10, 20, 9), state: TaskState.COMPLETED }, NOW)).toMatch(/^Due yesterday 9:00/);
  expect(dueWords(task("t"), NOW)).toBeUndefined();
});

test.each([
  ["FREQ=DAILY", "every day"],
  ["FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "every weekday"],
  ["FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH", "every 2 weeks on Monday and Thursday"],
  ["FREQ=MONTHLY;BYMONTHDAY=-1", "every month on the last day"],
  ["FREQ=MONTHLY;BYDAY=+2TU;COUNT=4", "every month on the second Tuesday, 4 times"],
  ["FREQ=YEARLY;UNTIL=20281224T080000Z", "every year, until Dec 24, 2028"],
  ["FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1", "by the rule FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1"],
])("%s is %s", (rule, words) => {
  expect(recurrenceWords(rule)).toBe(words);
});

test("reminders have words", () => {
  expect([0, 1, 30, 60, 90, 1440, 20_160].map(remindWords)).toEqual(["at the time", "1 minute before", "30 minutes before", "1 hour before", "90 minutes before", "1 day before", "2 weeks before"]);
});

test("a time goes into a field and back", () => {
  const time = new Date(2027, 0, 2, 9, 5);
  expect(toField(time)).toBe("2027-01-02T09:05");
  expect(fromField("2027-01-02T09:05")).toEqual(time);
  expect([toField(undefined), fromField(""), fromField("2027-13-99")]).toEqual(["", undefined, undefined]);
});

test("a day has the open tasks that are due on it, the earliest first", () => {
  const at = (day: number, hour: number) => ({ dueTime: timestampFromDate(new Date(2026, 10, day, hour)) });
  const tasks = [
    task("late", { state: TaskState.OPEN, ...at(23, 23) }),
    task("early", { state: TaskState.OPEN, ...at(23, 0) }),
    task("done", { state: TaskState.COMPLETED, ...at(23, 9) }),
    task("other", { state: TaskState.OPEN, ...at(24, 0) }),
    task("none", { state: TaskState.OPEN }),
  ];
  expect(dueOn(tasks, new Date(2026, 10, 23)).map(({ title }) => title)).toEqual(["early", "late"]);
});
