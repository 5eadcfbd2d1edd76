/** The user's meetings, and the tasks that are due: a day, a week where there is room for one, or a week as a list; and the calendars that the
 * meetings come from. */
import { CalendarDays, ChevronLeft, ChevronRight, LayoutGrid, List, Plus } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useStore } from "zustand";
import type { Meeting } from "@parley/protos/parley/workspace/v1/calendar_pb";
import { Button, IconButton } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { useMedia } from "../parts/Sheet";
import { wordsFor } from "../rpc/errors";
import { tasks as taskLists } from "../state/app";
import { calendar as store } from "../state/calendarOfPage";
import { addDays, dayName, midnight, mondayOf, onDay, spanWords, weekName } from "../text/calendar";
import { daysBetween, dueOn } from "../text/tasks";
import { CalendarAccounts } from "./CalendarAccounts";
import { CalendarGrid, DueTask, type DaysProps } from "./CalendarGrid";
import { MeetingDialog } from "./MeetingDialog";
import { MeetingForm } from "./MeetingForm";
import { useMinutes } from "./Reminders";

const VIEW_KEY = "parley.calendar";

export function CalendarPanel() {
  const { monday, meetings, loaded, loading, error } = useStore(store.store);
  const [chosen, setLook] = useLook();
  const [open, setOpen] = useState<Meeting>();
  const [adding, setAdding] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const now = useMinutes(true);
  const wide = useMedia("(min-width: 900px)");
  const tasks = useStore(taskLists.store, (state) => state.tasks);
  useEffect(() => store.watch(), []);
  useEffect(() => {
    if (!taskLists.store.getState().open.loaded) void taskLists.refresh();
  }, []);
  const week = Array.from({ length: 7 }, (_, index) => addDays(monday, index));
  const today = week.find((day) => daysBetween(day, now) === 0);
  const [picked, setPicked] = useState<Date>();
  // One day of the week on the screen: the one that was picked, else today, else its first.
  const day = week.find((each) => picked && daysBetween(each, picked) === 0) ?? today ?? monday;
  const look = chosen === "week" && !wide ? "list" : chosen;
  const oneDay = look === "day";
  const step = oneDay ? 1 : 7;
  const from = oneDay ? day : monday;
  const isNow = oneDay ? daysBetween(day, now) === 0 : today !== undefined;
  const go = (to: Date) => {
    setPicked(midnight(to));
    if (daysBetween(monday, mondayOf(to)) !== 0) store.go(mondayOf(to));
  };
  const shown = { meetings, tasks, now, onOpen: setOpen };
  return (
    <div className="min-h-0 flex-1 overflow-y-auto" aria-busy={loading}>
      <div className={`mx-auto w-full px-4 pt-4 pb-12 sm:px-6 ${look === "week" ? "max-w-6xl" : "max-w-3xl"}`}>
        <div className="mb-4 flex flex-wrap items-center gap-x-3 gap-y-2">
          <h1 className="mr-auto font-serif text-[1.9rem] leading-tight tracking-[-0.015em]">Calendar</h1>
          <Button look="accent" onClick={() => setAdding(true)}>
            <Plus className="size-4" aria-hidden="true" />
            Add a meeting
          </Button>
        </div>
        <div className="mb-4 flex flex-wrap items-center gap-1">
          <IconButton label={oneDay ? "The day before" : "The week before"} onClick={() => go(addDays(from, -step))}>
            <ChevronLeft className="size-5" />
          </IconButton>
          <IconButton label={oneDay ? "The day after" : "The week after"} onClick={() => go(addDays(from, step))}>
            <ChevronRight className="size-5" />
          </IconButton>
          <h2 ref={heading} tabIndex={-1} aria-live="polite" className="mx-1 text-sm font-medium outline-none">
            {oneDay ? `${dayName(day)}, ${day.getFullYear()}` : weekName(monday)}
          </h2>
          {!isNow && (
            <Button className="min-h-8 px-2.5 py-1" onClick={() => go(now)}>
              {oneDay ? "Today" : "This week"}
            </Button>
          )}
          <div role="group" aria-label="Show as" className="ml-auto flex items-center gap-0.5 rounded-lg bg-sunken p-0.5">
            {LOOKS.filter(({ look: each }) => wide || each !== "week").map(({ look: each, name, Icon }) => (
              <button
                key={each}
                type="button"
                aria-pressed={look === each}
                onClick={() => setLook(each)}
                className="flex min-h-8 items-center gap-1.5 rounded-md px-2.5 text-sm transition-colors hover:bg-hover aria-pressed:bg-raised aria-pressed:font-medium aria-pressed:shadow-low"
              >
                <Icon className="size-4" aria-hidden="true" />
                {name}
              </button>
            ))}
          </div>
        </div>
        {adding && (
          <div className="mb-4">
            <MeetingForm
              day={oneDay ? day : (today ?? monday)}
              onClose={() => {
                setAdding(false);
                heading.current?.focus();
              }}
            />
          </div>
        )}
        {error && (
          <div className="mb-4">
            <Notice kind="bad" action={<Button onClick={() => void store.refresh()}>Try again</Button>}>
              {wordsFor(error)}
            </Notice>
          </div>
        )}
        {!loaded && !error ? (
          <div className="h-64 animate-breathe rounded-2xl bg-hover" role="status" aria-label="Loading" />
        ) : look === "list" ? (
          <Days days={week} {...shown} />
        ) : oneDay ? (
          // Another one for another day, so that it begins in the morning again.
          <CalendarGrid key={day.getTime()} days={[day]} {...shown} />
        ) : (
          <CalendarGrid
            days={week}
            {...shown}
            onDay={(to) => {
              setPicked(to);
              setLook("day");
            }}
          />
        )}
        {loaded && <CalendarAccounts />}
      </div>
      {open && (
        <MeetingDialog
          meeting={open}
          onClose={() => setOpen(undefined)}
          onGone={() => heading.current?.focus()}
        />
      )}
    </div>
  );
}

/** Day after day; those without meetings and tasks are passed over. */
function Days({ days, meetings, tasks, now, onOpen }: DaysProps) {
  const full = days
    .map((day) => ({ day, due: dueOn(tasks.values(), day), ...onDay(meetings, day) }))
    .filter(({ due, whole, timed }) => due.length + whole.length + timed.length > 0);
  if (full.length === 0) return <p className="rounded-2xl border border-dashed border-line-strong px-6 py-10 text-center text-sm text-quiet">No meetings this week.</p>;
  return (
    <>
      {full.map(({ day, due, whole, timed }) => (
        <section key={day.getTime()} aria-label={dayName(day)} className="mb-5">
          <h3 className={`px-2 py-1 text-xs font-medium ${daysBetween(day, now) === 0 ? "text-accent" : "text-quiet"}`}>
            {daysBetween(day, now) === 0 ? "Today, " : ""}
            {dayName(day)}
          </h3>
          <ul>
            {[...whole, ...timed.map(({ meeting }) => meeting)].map((meeting) => (
              <li key={meeting.meetingId}>
                <button type="button" onClick={() => onOpen(meeting)} className="flex w-full items-baseline gap-4 rounded-xl px-2 py-2 text-left text-sm transition-colors hover:bg-hover">
                  <span className="w-36 shrink-0 text-quiet tabular-nums">{spanWords(meeting)}</span>
                  <span className="min-w-0 flex-1">
                    <span className="block font-medium break-words">{meeting.title || "Without a title"}</span>
                    {meeting.location && <span className="block truncate text-xs text-quiet">{meeting.location}</span>}
                  </span>
                </button>
              </li>
            ))}
            {due.map((task) => (
              <li key={task.taskId}>
                <DueTask task={task} className="flex items-center gap-4 rounded-xl px-2 py-2 text-sm transition-colors hover:bg-hover" />
              </li>
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

type Look = "day" | "week" | "list";

const LOOKS: readonly { look: Look; name: string; Icon: typeof List }[] = [
  { look: "day", name: "Day", Icon: CalendarDays },
  { look: "week", name: "Week", Icon: LayoutGrid },
  { look: "list", name: "List", Icon: List },
];

/** How the calendar is shown; kept in this browser. */
function useLook(): [Look, (look: Look) => void] {
  const [look, setLook] = useState<Look>(() => {
    try {
      const kept = localStorage.getItem(VIEW_KEY);
      return LOOKS.find((each) => each.look === kept)?.look ?? "week";
    } catch {
      return "week";
    }
  });
  const set = (next: Look) => {
    setLook(next);
    try {
      localStorage.setItem(VIEW_KEY, next);
    } catch {
      // Storage is blocked: the choice lasts until the page is closed.
    }
  };
  return [look, set];
}
