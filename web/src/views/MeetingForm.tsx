/** A new meeting in the user's own calendar. */
import { useState } from "react";
import { Button } from "../parts/buttons";
import { wordsFor, wordsForField } from "../rpc/errors";
import { calendar as store } from "../state/calendarOfPage";
import { fromField, toField } from "../text/tasks";
import { FIELD, Labelled } from "./TaskForm";

/** The fields that have an error of their own; what is wrong with others is told for the whole form. */
const START = ["start_time", "start_date"] as const;
const END = ["end_time", "end_date"] as const;

export function MeetingForm({ day, onClose }: { day: Date; onClose: () => void }) {
  const at = (hour: number) => toField(new Date(day.getFullYear(), day.getMonth(), day.getDate(), hour));
  const [title, setTitle] = useState("");
  const [location, setLocation] = useState("");
  const [start, setStart] = useState(() => at(9));
  const [end, setEnd] = useState(() => at(10));
  const [allDay, setAllDay] = useState(false);
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();

  const begins = fromField(start);
  const ends = fromField(end);
  const backwards = begins && ends && (allDay ? ends < begins : ends <= begins) ? "It has to end after it begins." : undefined;
  const wordsOf = (fields: readonly string[]) => fields.map((field) => wordsForField(error, field)).find((words) => words !== undefined);
  const elsewhere = error !== undefined && !wordsOf([...START, ...END, "title", "location"]);
  const shown = (value: string) => (allDay ? value.slice(0, 10) : value);
  const typed = (value: string) => (allDay && value ? `${value}T00:00` : value);

  return (
    <form
      aria-label="New meeting"
      className="animate-rise space-y-4 rounded-2xl border border-line bg-raised p-4"
      onKeyDown={(event) => event.key === "Escape" && onClose()}
      onSubmit={(event) => {
        event.preventDefault();
        if (working || !title.trim() || !begins || !ends || backwards) return;
        setWorking(true);
        store
          .add({ title: title.trim(), location: location.trim(), start: begins, end: ends, allDay })
          .then(onClose)
          .catch((thrown: unknown) => {
            setError(thrown);
            setWorking(false);
          });
      }}
    >
      <Labelled name="Title" error={wordsForField(error, "title")}>
        {(props) => <input {...props} autoFocus required maxLength={300} value={title} onChange={({ target }) => setTitle(target.value)} className={`${FIELD} w-full`} />}
      </Labelled>
      <label className="flex w-fit cursor-pointer items-center gap-2 text-sm">
        <input
          type="checkbox"
          className="size-4 accent-accent"
          checked={allDay}
          onChange={({ target }) => {
            setAllDay(target.checked);
            if (target.checked) setEnd(start);
          }}
        />
        Whole days
      </label>
      <div className="grid gap-4 sm:grid-cols-2">
        <Labelled name="Begins" error={wordsOf(START)}>
          {(props) => (
            <input {...props} required type={allDay ? "date" : "datetime-local"} value={shown(start)} onChange={({ target }) => setStart(typed(target.value))} className={`${FIELD} w-full`} />
          )}
        </Labelled>
        <Labelled name={allDay ? "Last day" : "Ends"} error={backwards ?? wordsOf(END)}>
          {(props) => (
            <input {...props} required type={allDay ? "date" : "datetime-local"} value={shown(end)} onChange={({ target }) => setEnd(typed(target.value))} className={`${FIELD} w-full`} />
          )}
        </Labelled>
      </div>
      <Labelled name="Where" error={wordsForField(error, "location")}>
        {(props) => <input {...props} maxLength={500} value={location} onChange={({ target }) => setLocation(target.value)} className={`${FIELD} w-full`} />}
      </Labelled>
      <p role="alert" className="text-sm text-bad empty:hidden">
        {elsewhere ? wordsFor(error) : ""}
      </p>
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button look="accent" type="submit" disabled={working || !title.trim()}>
          Add
        </Button>
      </div>
    </form>
  );
}
