/** One task in the list: is done with one press, edited where it stands, deleted after a question. */
import { Bell, CalendarClock, Check, Flag, Folder, Pencil, Repeat, Sparkles, Trash2 } from "lucide-react";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { useRef, useState, type ReactNode } from "react";
import { TaskPriority, TaskState, type Task } from "@parley/protos/parley/workspace/v1/task_pb";
import { IconButton } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { wordsFor } from "../rpc/errors";
import { tasks as store, tell } from "../state/app";
import { dueOf, dueWords, recurrenceWords, remindWords, when } from "../text/tasks";
import { useProjectTitle } from "./projectTitle";
import { TaskForm } from "./TaskForm";

export function TaskRow({ task, now, onGone }: { task: Task; now: Date; onGone: () => void }) {
  const [editing, setEditing] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const pencil = useRef<HTMLButtonElement>(null);
  const { taskId, title } = task;
  const done = task.state === TaskState.COMPLETED;
  const close = () => {
    setEditing(false);
    requestAnimationFrame(() => pencil.current?.focus());
  };
  if (editing) {
    return (
      <li className="py-2">
        <TaskForm
          label={`Edit ${title}`}
          fields={{
            title,
            notes: task.notes,
            due: task.dueTime && timestampDate(task.dueTime),
            priority: task.priority,
            recurrence: task.recurrence,
            remindMinutesBefore: task.remindMinutesBefore,
          }}
          submit="Save"
          onSubmit={async (fields) => {
            await store.change(task, fields);
            close();
          }}
          onClose={close}
        />
      </li>
    );
  }
  return (
    <li className="group/row flex items-start gap-1 rounded-xl pr-1.5 transition-colors hover:bg-hover">
      <button
        type="button"
        role="checkbox"
        aria-checked={done}
        aria-label={`Done: ${title}`}
        onClick={() => store.complete(task, !done).catch((error: unknown) => tell(wordsFor(error)))}
        className="group/check grid size-10 shrink-0 place-items-center rounded-xl"
      >
        <span
          className={`grid size-5 place-items-center rounded-full border-[1.5px] transition-colors ${
            done ? "border-accent bg-accent text-on-accent" : "border-line-strong group-hover/check:border-accent"
          }`}
        >
          <Check className={`size-3.5 ${done ? "" : "text-accent opacity-0 group-hover/check:opacity-100"}`} aria-hidden="true" />
        </span>
      </button>
      <div className="min-w-0 flex-1 py-2">
        <p className={`text-sm break-words ${done ? "text-quiet line-through" : "font-medium"}`}>{title}</p>
        {task.notes && <p className="line-clamp-2 text-xs break-words whitespace-pre-wrap text-quiet">{task.notes}</p>}
        <Facts task={task} now={now} />
      </div>
      <div className="flex shrink-0 py-1.5">
        {!done && (
          <IconButton ref={pencil} small label={`Edit ${title}`} onClick={() => setEditing(true)}>
            <Pencil className="size-4" />
          </IconButton>
        )}
        <IconButton small label={`Delete ${title}`} onClick={() => setDeleting(true)}>
          <Trash2 className="size-4" />
        </IconButton>
      </div>
      {deleting && (
        <Confirm
          title="Delete this task?"
          yes="Delete"
          onClose={() => setDeleting(false)}
          onYes={() => {
            store
              .remove(taskId)
              .then(onGone)
              .catch((error: unknown) => tell(wordsFor(error)));
          }}
        >
          “{title}” will be gone for good{task.recurrence && !done ? ", and so will all that would follow it" : ""}.
        </Confirm>
      )}
    </li>
  );
}

function Facts({ task, now }: { task: Task; now: Date }) {
  const done = task.state === TaskState.COMPLETED;
  const overdue = !done && dueOf(task, now) === "Overdue";
  const due = dueWords(task, now);
  const project = useProjectTitle(task.project);
  return (
    <div className="mt-0.5 flex flex-wrap gap-x-3 gap-y-0.5 text-xs text-quiet empty:hidden">
      {done && task.completeTime && <span>Done {when(timestampDate(task.completeTime), now)}</span>}
      {!done && due && (
        <Fact icon={<CalendarClock className="size-3.5" aria-hidden="true" />} look={overdue ? "font-medium text-bad" : ""}>
          {due}
        </Fact>
      )}
      {!done && task.recurrence && <Fact icon={<Repeat className="size-3.5" aria-hidden="true" />}>{recurrenceWords(task.recurrence)}</Fact>}
      {!done && task.remindTime && (
        <Fact icon={<Bell className="size-3.5" aria-hidden="true" />}>Reminds {task.remindMinutesBefore.map(remindWords).join(", ")}</Fact>
      )}
      {!done && task.priority === TaskPriority.HIGH && (
        <Fact icon={<Flag className="size-3.5" aria-hidden="true" />} look="text-warn">
          Important
        </Fact>
      )}
      {project && <Fact icon={<Folder className="size-3.5" aria-hidden="true" />}>{project}</Fact>}
      {task.turnId && <Fact icon={<Sparkles className="size-3.5" aria-hidden="true" />}>By the assistant</Fact>}
    </div>
  );
}

function Fact({ icon, look = "", children }: { icon: ReactNode; look?: string; children: ReactNode }) {
  return (
    <span className={`inline-flex max-w-full items-center gap-1 ${look}`}>
      {icon}
      <span className="min-w-0 break-words">{children}</span>
    </span>
  );
}
