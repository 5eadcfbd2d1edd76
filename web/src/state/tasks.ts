/** The user's tasks: those that are open, and on demand those that are done. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { timestampFromDate, timestampMs } from "@bufbuild/protobuf/wkt";
import { Action, ResourceType, type Event } from "@parley/protos/parley/events/v1/event_pb";
import { TaskPriority, TaskState, type Task } from "@parley/protos/parley/workspace/v1/task_pb";
import { TaskService } from "@parley/protos/parley/workspace/v1/task_service_pb";
import { createStore } from "zustand/vanilla";

/** What a form has of a task. */
export interface TaskFields {
  readonly title: string;
  readonly notes: string;
  readonly due: Date | undefined;
  readonly priority: TaskPriority;
  readonly recurrence: string;
  readonly remindMinutesBefore: readonly number[];
}

/** One of the two lists. */
export interface TaskList {
  readonly loaded: boolean;
  readonly loading: boolean;
  readonly error: ParleyError | undefined;
  /** Asks for more. Empty when there are none. */
  readonly nextToken: string;
}

export interface TasksState {
  /** All that are known, by their id. */
  readonly tasks: ReadonlyMap<string, Task>;
  readonly open: TaskList;
  readonly completed: TaskList;
  /** Only tasks of this project. Empty for all. */
  readonly project: string;
}

const NO_LIST: TaskList = { loaded: false, loading: false, error: undefined, nextToken: "" };
const EMPTY: TasksState = { tasks: new Map(), open: NO_LIST, completed: NO_LIST, project: "" };
const PAGE_SIZE = 100;

export class Tasks {
  readonly store = createStore<TasksState>(() => EMPTY);
  readonly #service;
  /** Another for another user, or another project: what was asked for before is dropped. */
  #view = {};
  /** For each page that is on its way, and may be older than they: the tasks that were told of meanwhile; undefined for those that are gone. */
  readonly #told = new Set<Map<string, Task | undefined>>();

  constructor(parley: ParleyClient) {
    this.#service = parley.service(TaskService);
  }

  /** Loads the open tasks anew, and the completed ones if they have been asked for. */
  async refresh(): Promise<void> {
    await Promise.all([this.#load("open", ""), this.store.getState().completed.loaded ? this.#load("completed", "") : undefined]);
  }

  /** Loads the completed tasks, once. */
  async openCompleted(): Promise<void> {
    const { loaded, loading } = this.store.getState().completed;
    if (!loaded && !loading) await this.#load("completed", "");
  }

  async loadMore(list: "open" | "completed"): Promise<void> {
    const { nextToken, loading } = this.store.getState()[list];
    if (nextToken && !loading) await this.#load(list, nextToken);
  }

  /** Shows the tasks of one project, or all. */
  narrow(project: string): void {
    if (this.store.getState().project === project) return;
    const { loaded } = this.store.getState().open;
    this.#view = {};
    this.#told.clear();
    this.store.setState({ ...EMPTY, project }, true);
    if (loaded) void this.refresh();
  }

  /** Makes a task. Throws ParleyError. */
  async add(fields: TaskFields): Promise<Task | undefined> {
    const view = this.#view;
    const { due, ...rest } = fields;
    const { task } = await this.#service.createTask({
      ...rest,
      remindMinutesBefore: [...fields.remindMinutesBefore],
      timeZone: timeZone(),
      project: this.store.getState().project,
      ...(due ? { dueTime: timestampFromDate(due) } : {}),
    });
    if (task && view === this.#view) this.#tell(task.taskId, task);
    return task;
  }

  /** Changes what differs between a task and a form. Throws ParleyError. */
  async change(task: Task, fields: TaskFields): Promise<void> {
    const paths = changedFields(task, fields);
    if (paths.length === 0) return;
    const view = this.#view;
    const { due, ...rest } = fields;
    const { task: changed } = await this.#service.updateTask({
      taskId: task.taskId,
      ...rest,
      remindMinutesBefore: [...fields.remindMinutesBefore],
      timeZone: timeZone(),
      ...(due ? { dueTime: timestampFromDate(due) } : {}),
      updateMask: { paths },
    });
    if (changed && view === this.#view) this.#tell(changed.taskId, changed);
  }

  /** Marks a task as done, or opens it again: on the screen at once. Throws ParleyError, with the task back, when the server refuses. */
  async complete(task: Task, done = true): Promise<void> {
    const view = this.#view;
    const { taskId } = task;
    this.#put(taskId, { ...task, state: done ? TaskState.COMPLETED : TaskState.OPEN });
    try {
      if (done) {
        const { task: changed, nextTask } = await this.#service.completeTask({ taskId });
        if (view !== this.#view) return;
        if (changed) this.#tell(taskId, changed);
        if (nextTask) this.#tell(nextTask.taskId, nextTask);
      } else {
        const { task: changed } = await this.#service.reopenTask({ taskId });
        if (changed && view === this.#view) this.#tell(taskId, changed);
      }
    } catch (thrown) {
      if (view === this.#view && this.store.getState().tasks.has(taskId)) this.#put(taskId, task);
      throw toParleyError(thrown);
    }
  }

  /** Deletes a task. Throws ParleyError when the server refuses. */
  async remove(taskId: string): Promise<void> {
    const view = this.#view;
    await this.#service.deleteTask({ taskId });
    if (view === this.#view) this.#tell(taskId, undefined);
  }

  /** Shows what happened, on this device or another, or by the assistant. */
  observe({ resourceType, resourceId, resource, action }: Event): void {
    if (resourceType !== ResourceType.TASK || action === Action.REMINDED) return;
    const { open, project, tasks } = this.store.getState();
    if (!open.loaded && !open.loading) return;
    const task = resource.case === "task" ? resource.value : undefined;
    if (task) {
      const known = tasks.get(resourceId);
      // The list may have been read after it happened.
      if (known && timeOf(task) < timeOf(known)) return;
      const elsewhere = project !== "" && task.project !== project;
      if (elsewhere) return this.#tell(resourceId, undefined);
    }
    this.#tell(resourceId, task);
  }

  /** What happened for a while is not known. */
  renew(): void {
    if (this.store.getState().open.loaded) void this.refresh();
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    this.#view = {};
    this.#told.clear();
    this.store.setState(EMPTY, true);
  }

  async #load(list: "open" | "completed", pageToken: string): Promise<void> {
    const view = this.#view;
    const told = new Map<string, Task | undefined>();
    this.#told.add(told);
    this.#setList(list, { loading: true });
    const state = list === "open" ? TaskState.OPEN : TaskState.COMPLETED;
    try {
      const page = await this.#service.listTasks({ state, pageSize: PAGE_SIZE, pageToken, project: this.store.getState().project });
      if (view !== this.#view) return;
      // A first page takes the place of all that was there.
      const kept = [...this.store.getState().tasks].filter(([, task]) => pageToken !== "" || task.state !== state);
      const tasks = new Map([...kept, ...page.tasks.map((task) => [task.taskId, task] as const)]);
      this.store.setState({ tasks });
      this.#setList(list, { loaded: true, loading: false, error: undefined, nextToken: page.nextPageToken });
      for (const [taskId, task] of told) this.#put(taskId, task);
    } catch (thrown) {
      if (view === this.#view) this.#setList(list, { loading: false, error: toParleyError(thrown) });
    } finally {
      this.#told.delete(told);
    }
  }

  #tell(taskId: string, task: Task | undefined): void {
    for (const told of this.#told) told.set(taskId, task);
    this.#put(taskId, task);
  }

  #put(taskId: string, task: Task | undefined): void {
    const tasks = new Map(this.store.getState().tasks);
    if (task) tasks.set(taskId, task);
    else tasks.delete(taskId);
    this.store.setState({ tasks });
  }

  #setList(list: "open" | "completed", change: Partial<TaskList>): void {
    const state = this.store.getState();
    this.store.setState({ [list]: { ...state[list], ...change } });
  }
}

/** Which fields of a task a form has changed, as an update mask names them. */
export function changedFields(task: Task, fields: TaskFields): string[] {
  const due = task.dueTime ? Math.floor(timestampMs(task.dueTime) / 60_000) : undefined;
  const wanted = fields.due ? Math.floor(fields.due.getTime() / 60_000) : undefined;
  const dueChanged = due !== wanted;
  const remindChanged = String(sorted(task.remindMinutesBefore)) !== String(sorted(fields.remindMinutesBefore));
  return [
    ...(task.title === fields.title ? [] : ["title"]),
    ...(task.notes === fields.notes ? [] : ["notes"]),
    // The form's time is one of this device's zone. A time that was not touched keeps the zone that it was meant in.
    ...(dueChanged ? ["due_time", ...(fields.due ? ["time_zone"] : [])] : []),
    ...(task.priority === fields.priority ? [] : ["priority"]),
    ...(task.recurrence === fields.recurrence ? [] : ["recurrence"]),
    ...(remindChanged ? ["remind_minutes_before"] : []),
  ];
}

function sorted(numbers: readonly number[]): number[] {
  return [...numbers].sort((one, other) => one - other);
}

function timeOf({ updateTime }: Task): bigint {
  return updateTime ? updateTime.seconds * 1_000_000_000n + BigInt(updateTime.nanos) : 0n;
}

function timeZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
