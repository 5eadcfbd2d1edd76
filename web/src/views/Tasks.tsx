/** The user's tasks: what is to be done and by when, added here or by the assistant, and what is done. */
import { ChevronRight, ListTodo, Plus } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { useStore } from "zustand";
import { TaskPriority, TaskState, type Task } from "@parley/protos/parley/workspace/v1/task_pb";
import { Button } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { wordsFor, wordsForField } from "../rpc/errors";
import { tasks as store } from "../state/app";
import type { TaskFields } from "../state/tasks";
import { DUES, dueOf, inOrder, lastDoneFirst } from "../text/tasks";
import { useMinutes } from "./Reminders";
import { FIELD, TaskForm } from "./TaskForm";
import { TaskRow } from "./TaskRow";

export function Tasks() {
  const { tasks, open, completed, project } = useStore(store.store);
  const heading = useRef<HTMLHeadingElement>(null);
  const now = useMinutes(true);
  useEffect(() => void store.refresh(), [project]);
  const groups = useMemo(() => {
    const all = inOrder([...tasks.values()].filter(({ state }) => state === TaskState.OPEN));
    return DUES.map((due) => ({ due, members: all.filter((task) => dueOf(task, now) === due) })).filter(({ members }) => members.length > 0);
  }, [tasks, now]);
  const done = useMemo(() => lastDoneFirst([...tasks.values()].filter(({ state }) => state === TaskState.COMPLETED)), [tasks]);
  const onGone = () => heading.current?.focus();
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto w-full max-w-3xl px-4 pt-4 pb-12 sm:px-6">
        <h1 ref={heading} tabIndex={-1} className="font-serif text-[1.9rem] leading-tight tracking-[-0.015em] outline-none">
          Tasks
        </h1>
        <p className="mt-2 mb-5 text-sm text-pretty text-quiet">
          What you write down here, and what you ask the assistant to remember: “remind me to call the dentist tomorrow at nine”.
        </p>
        <Adding />
        {open.error && (
          <div className="mb-4">
            <Notice kind="bad" action={<Button onClick={() => void store.refresh()}>Try again</Button>}>
              {wordsFor(open.error)}
            </Notice>
          </div>
        )}
        {groups.map(({ due, members }) => (
          <section key={due} aria-label={due} className="mb-5">
            <h2 className={`px-2 py-1 text-xs font-medium ${due === "Overdue" ? "text-bad" : "text-quiet"}`}>{due}</h2>
            <ul>
              {members.map((task) => (
                <TaskRow key={task.taskId} task={task} now={now} onGone={onGone} />
              ))}
            </ul>
          </section>
        ))}
        {groups.length === 0 && open.loaded && <Empty />}
        {groups.length === 0 && !open.loaded && !open.error && <Loading />}
        {open.nextToken && (
          <Button className="w-full border-transparent bg-transparent text-quiet" disabled={open.loading} onClick={() => void store.loadMore("open")}>
            Show more
          </Button>
        )}
        {(open.loaded || done.length > 0) && (
          <details
            className="group/done mt-4"
            onToggle={(event) => {
              if (event.currentTarget.open) void store.openCompleted();
            }}
          >
            <summary className="flex w-fit cursor-pointer list-none items-center gap-1 rounded-md px-1 py-1 text-sm font-medium text-quiet hover:text-ink">
              <ChevronRight className="size-4 transition-transform group-open/done:rotate-90" aria-hidden="true" />
              Completed
            </summary>
            <Completed tasks={done} now={now} loaded={completed.loaded} onGone={onGone} />
            {completed.error && <Notice kind="bad">{wordsFor(completed.error)}</Notice>}
            {completed.nextToken && (
              <Button
                className="w-full border-transparent bg-transparent text-quiet"
                disabled={completed.loading}
                onClick={() => void store.loadMore("completed")}
              >
                Show more
              </Button>
            )}
          </details>
        )}
      </div>
    </div>
  );
}

function Completed({ tasks, now, loaded, onGone }: { tasks: readonly Task[]; now: Date; loaded: boolean; onGone: () => void }) {
  if (tasks.length === 0) return <p className="px-2 py-2 text-sm text-quiet">{loaded ? "Nothing is done yet." : "Loading…"}</p>;
  return (
    <ul aria-label="Completed" className="mt-1">
      {tasks.map((task) => (
        <TaskRow key={task.taskId} task={task} now={now} onGone={onGone} />
      ))}
    </ul>
  );
}

const NEW: TaskFields = { title: "", notes: "", due: undefined, priority: TaskPriority.NORMAL, recurrence: "", remindMinutesBefore: [] };

/** One line to write a task into; all of its fields on demand. */
function Adding() {
  const [title, setTitle] = useState("");
  const [whole, setWhole] = useState(false);
  const [error, setError] = useState<unknown>();
  const [working, setWorking] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const add = async (fields: TaskFields) => {
    await store.add(fields);
    setTitle("");
    setWhole(false);
    setError(undefined);
    // After the form has gone.
    requestAnimationFrame(() => input.current?.focus());
  };
  if (whole) {
    return (
      <div className="mb-6">
        <TaskForm label="New task" fields={{ ...NEW, title }} submit="Add" onSubmit={add} onClose={() => setWhole(false)} />
      </div>
    );
  }
  return (
    <form
      aria-label="Add a task"
      className="mb-6"
      onSubmit={(event) => {
        event.preventDefault();
        if (!title.trim() || working) return;
        setWorking(true);
        add({ ...NEW, title: title.trim() })
          .catch(setError)
          .finally(() => setWorking(false));
      }}
    >
      <div className="flex flex-wrap gap-2">
        <input
          ref={input}
          aria-label="New task"
          placeholder="What is to be done?"
          maxLength={300}
          value={title}
          onChange={(event) => setTitle(event.target.value)}
          aria-invalid={error !== undefined}
          aria-describedby={error === undefined ? undefined : "adding-error"}
          className={`${FIELD} h-10 min-w-52 flex-1`}
        />
        <Button className="min-h-10" onClick={() => setWhole(true)}>
          Date and more
        </Button>
        <Button look="accent" type="submit" disabled={working || !title.trim()} className="min-h-10">
          <Plus className="size-4" aria-hidden="true" />
          Add
        </Button>
      </div>
      {error !== undefined && (
        <p id="adding-error" role="alert" className="mt-1.5 text-sm text-bad">
          {wordsForField(error, "title") ?? wordsFor(error)}
        </p>
      )}
    </form>
  );
}

function Empty() {
  return (
    <div className="grid justify-items-center rounded-2xl border border-dashed border-line-strong px-6 py-12 text-center">
      <ListTodo className="size-7 text-quiet" aria-hidden="true" />
      <h2 className="mt-3 font-medium">Nothing to do</h2>
      <p className="mt-1 max-w-sm text-sm text-pretty text-quiet">Write a task above, or tell the assistant about one in a conversation.</p>
    </div>
  );
}

function Loading() {
  return (
    <div className="space-y-3 py-2" role="status" aria-label="Loading">
      {[70, 52, 61].map((width) => (
        <div key={width} className="h-9 animate-breathe rounded-lg bg-hover" style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}
