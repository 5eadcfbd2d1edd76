/** All that a task has, as a form. */
import { useId, useState, type ReactNode } from "react";
import { TaskPriority } from "@parley/protos/parley/workspace/v1/task_pb";
import { Button } from "../parts/buttons";
import { wordsFor, wordsForField } from "../rpc/errors";
import type { TaskFields } from "../state/tasks";
import { fromField, PRIORITY_NAMES, recurrenceWords, remindWords, toField } from "../text/tasks";

export const FIELD =
  "rounded-lg border border-line bg-ground px-3 py-1.5 text-sm outline-none transition-colors hover:border-line-strong focus:border-line-strong focus:ring-1 focus:ring-line-strong aria-[invalid=true]:border-bad";

const RULES = ["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=2", "FREQ=MONTHLY", "FREQ=YEARLY"] as const;
const OWN = "own";
const REMINDERS = [0, 10, 30, 60, 1440] as const;
const MOST_REMINDERS = 5;
/** The fields that have an error of their own; what is wrong with others is told for the whole form. */
const NAMED = ["title", "notes", "due_time", "recurrence", "remind_minutes_before"];

interface TaskFormProps {
  label: string;
  fields: TaskFields;
  submit: string;
  /** Throws what is shown at the fields, or below them. */
  onSubmit: (fields: TaskFields) => Promise<void>;
  onClose: () => void;
}

export function TaskForm({ label, fields, submit, onSubmit, onClose }: TaskFormProps) {
  const [title, setTitle] = useState(fields.title);
  const [notes, setNotes] = useState(fields.notes);
  const [due, setDue] = useState(toField(fields.due));
  const [priority, setPriority] = useState(fields.priority);
  const [recurrence, setRecurrence] = useState(fields.recurrence);
  const [own, setOwn] = useState(fields.recurrence !== "" && !(RULES as readonly string[]).includes(fields.recurrence));
  const [reminders, setReminders] = useState<readonly number[]>(fields.remindMinutesBefore);
  const [error, setError] = useState<unknown>();
  const [working, setWorking] = useState(false);
  const dated = due !== "";
  const offered = [...new Set([...REMINDERS, ...fields.remindMinutesBefore])].sort((one, other) => one - other);
  const elsewhere = error !== undefined && !NAMED.some((name) => wordsForField(error, name));

  const send = () => {
    if (working || !title.trim()) return;
    setWorking(true);
    // What was not touched is sent as it was, to the second.
    const time = due === toField(fields.due) ? fields.due : fromField(due);
    onSubmit({ title: title.trim(), notes, due: time, priority, recurrence: dated ? recurrence.trim() : "", remindMinutesBefore: dated ? reminders : [] })
      .catch((thrown: unknown) => {
        setError(thrown);
      })
      .finally(() => setWorking(false));
  };

  return (
    <form
      aria-label={label}
      className="animate-rise space-y-4 rounded-2xl border border-line bg-raised p-4"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <Labelled name="Title" error={wordsForField(error, "title")}>
        {(props) => (
          <input {...props} autoFocus required maxLength={300} value={title} onChange={(event) => setTitle(event.target.value)} className={`${FIELD} w-full`} />
        )}
      </Labelled>
      <div className="grid gap-4 sm:grid-cols-2">
        <Labelled name="Due" error={wordsForField(error, "due_time")}>
          {(props) => (
            <input {...props} type="datetime-local" value={due} onChange={(event) => setDue(event.target.value)} className={`${FIELD} w-full`} />
          )}
        </Labelled>
        <Labelled name="Priority">
          {(props) => (
            <select {...props} value={priority} onChange={(event) => setPriority(Number(event.target.value))} className={`${FIELD} w-full`}>
              {[TaskPriority.HIGH, TaskPriority.NORMAL, TaskPriority.LOW].map((each) => (
                <option key={each} value={each}>
                  {PRIORITY_NAMES[each]}
                </option>
              ))}
            </select>
          )}
        </Labelled>
      </div>
      {dated && (
        <>
          <div className="grid gap-4 sm:grid-cols-2">
            <Labelled name="Repeats" error={own ? undefined : wordsForField(error, "recurrence")}>
              {(props) => (
                <select
                  {...props}
                  value={own ? OWN : recurrence}
                  onChange={({ target: { value } }) => {
                    setOwn(value === OWN);
                    if (value !== OWN) setRecurrence(value);
                  }}
                  className={`${FIELD} w-full`}
                >
                  <option value="">Never</option>
                  {RULES.map((rule) => (
                    <option key={rule} value={rule}>
                      {capital(recurrenceWords(rule))}
                    </option>
                  ))}
                  <option value={OWN}>By a rule…</option>
                </select>
              )}
            </Labelled>
            {own && (
              <Labelled name="Rule (RFC 5545)" error={wordsForField(error, "recurrence")}>
                {(props) => (
                  <input
                    {...props}
                    maxLength={255}
                    placeholder="FREQ=MONTHLY;BYMONTHDAY=-1"
                    value={recurrence}
                    onChange={(event) => setRecurrence(event.target.value)}
                    className={`${FIELD} w-full font-mono text-[0.8125rem]`}
                  />
                )}
              </Labelled>
            )}
          </div>
          <fieldset>
            <legend className="mb-1.5 text-xs font-medium text-quiet">Remind me</legend>
            <div className="flex flex-wrap gap-2">
              {offered.map((minutes) => (
                <label
                  key={minutes}
                  className="inline-flex min-h-8 cursor-pointer items-center gap-2 rounded-lg border border-line px-2.5 py-1 text-sm transition-colors hover:bg-hover has-checked:border-accent has-checked:bg-accent-soft has-checked:text-accent has-disabled:opacity-60 has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent"
                >
                  <input
                    type="checkbox"
                    className="size-3.5 accent-accent outline-none"
                    checked={reminders.includes(minutes)}
                    disabled={!reminders.includes(minutes) && reminders.length >= MOST_REMINDERS}
                    onChange={({ target: { checked } }) => setReminders(checked ? [...reminders, minutes] : reminders.filter((each) => each !== minutes))}
                  />
                  {remindWords(minutes)}
                </label>
              ))}
            </div>
            {wordsForField(error, "remind_minutes_before") && <p className="mt-1 text-xs text-bad">{wordsForField(error, "remind_minutes_before")}</p>}
          </fieldset>
        </>
      )}
      <Labelled name="Notes" error={wordsForField(error, "notes")}>
        {(props) => (
          <textarea {...props} rows={2} maxLength={10_000} value={notes} onChange={(event) => setNotes(event.target.value)} className={`${FIELD} block w-full resize-y`} />
        )}
      </Labelled>
      {elsewhere && (
        <p role="alert" className="text-sm text-bad">
          {wordsFor(error)}
        </p>
      )}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button look="accent" type="submit" disabled={working || !title.trim()}>
          {submit}
        </Button>
      </div>
    </form>
  );
}

interface FieldProps {
  id: string;
  "aria-invalid": boolean;
  "aria-describedby": string | undefined;
}

/** A field under its name, with what is wrong with it below. */
export function Labelled({ name, error, children }: { name: string; error?: string | undefined; children: (props: FieldProps) => ReactNode }) {
  const id = useId();
  return (
    <div className="min-w-0">
      <label htmlFor={id} className="mb-1.5 block text-xs font-medium text-quiet">
        {name}
      </label>
      {children({ id, "aria-invalid": error !== undefined, "aria-describedby": error === undefined ? undefined : `${id}-error` })}
      {error !== undefined && (
        <p id={`${id}-error`} role="alert" className="mt-1 text-xs text-bad">
          {error}
        </p>
      )}
    </div>
  );
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
