/** The user's meetings, and the tasks that are due, a week at a time: as a grid where there is room, as a list where there is not; and the
 * calendars that the meetings come from. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ChevronLeft, ChevronRight, LayoutGrid, List, Plus, Square } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { useStore } from "zustand";
import type { Task } from "@parley/protos/parley/workspace/v1/task_pb";
import type { Meeting } from "@parley/protos/parley/workspace/v1/calendar_pb";
import { Button, IconButton } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { useMedia } from "../parts/Sheet";
import { wordsFor } from "../rpc/errors";
import { tasks as taskLists } from "../state/app";
import { calendar as store } from "../state/calendarOfPage";
import { addDays, dayName, midnight, mondayOf, onDay, spanWords, weekName, type Placed } from "../text/calendar";
import { daysBetween, dueOn } from "../text/tasks";
import { CalendarAccounts } from "./CalendarAccounts";
import { MeetingDialog } from "./MeetingDialog";
import { MeetingForm } from "./MeetingForm";
import { useMinutes } from "./Reminders";

const VIEW_KEY = "parley.calendar";

export function CalendarPanel() {
  const { monday, meetings, loaded, loading, error } = useStore(store.store);
  const [asList, setAsList] = useListChoice();
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
  const days = Array.from({ length: 7 }, (_, index) => addDays(monday, index));
  const grid = wide && !asList;
  return (
    <div className="min-h-0 flex-1 overflow-y-auto" aria-busy={loading}>
      <div className={`mx-auto w-full px-4 pt-4 pb-12 sm:px-6 ${grid ? "max-w-6xl" : "max-w-3xl"}`}>
        <div className="mb-4 flex flex-wrap items-center gap-x-3 gap-y-2">
          <h1 className="mr-auto font-serif text-[1.9rem] leading-tight tracking-[-0.015em]">Calendar</h1>
          <Button look="accent" onClick={() => setAdding(true)}>
            <Plus className="size-4" aria-hidden="true" />
            Add a meeting
          </Button>
        </div>
        <div className="mb-4 flex flex-wrap items-center gap-1">
          <IconButton label="The week before" onClick={() => store.go(addDays(monday, -7))}>
            <ChevronLeft className="size-5" />
          </IconButton>
          <IconButton label="The week after" onClick={() => store.go(addDays(monday, 7))}>
            <ChevronRight className="size-5" />
          </IconButton>
          <h2 ref={heading} tabIndex={-1} aria-live="polite" className="mx-1 text-sm font-medium outline-none">
            {weekName(monday)}
          </h2>
          {daysBetween(monday, mondayOf(now)) !== 0 && (
            <Button className="min-h-8 px-2.5 py-1" onClick={() => store.go(mondayOf(new Date()))}>
              This week
            </Button>
          )}
          {wide && (
            <IconButton className="ml-auto" label={asList ? "Show as a week" : "Show as a list"} onClick={() => setAsList(!asList)}>
              {asList ? <LayoutGrid className="size-4.5" /> : <List className="size-4.5" />}
            </IconButton>
          )}
        </div>
        {adding && (
          <div className="mb-4">
            <MeetingForm
              day={days.some((day) => daysBetween(day, now) === 0) ? midnight(now) : monday}
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
        ) : grid ? (
          <Week days={days} meetings={meetings} tasks={tasks} now={now} onOpen={setOpen} />
        ) : (
          <Days days={days} meetings={meetings} tasks={tasks} now={now} onOpen={setOpen} />
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

interface DaysProps {
  days: readonly Date[];
  meetings: readonly Meeting[];
  tasks: ReadonlyMap<string, Task>;
  now: Date;
  onOpen: (meeting: Meeting) => void;
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

/** How high an hour is, pixels. */
const HOUR = 44;

/** Seven days beside each other, by the hours. */
function Week({ days, meetings, tasks, now, onOpen }: DaysProps) {
  const scroll = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The night is there, and not what is looked for first.
    scroll.current?.scrollTo({ top: 7 * HOUR });
  }, []);
  const placed = days.map((day) => ({ day, due: dueOn(tasks.values(), day), ...onDay(meetings, day) }));
  const anyWhole = placed.some(({ whole, due }) => whole.length + due.length > 0);
  return (
    <div className="overflow-hidden rounded-2xl border border-line bg-raised">
      <div className="grid grid-cols-[3.25rem_repeat(7,minmax(0,1fr))] border-b border-line pr-2">
        <span />
        {placed.map(({ day, whole, due }) => {
          const today = daysBetween(day, now) === 0;
          return (
            <div key={day.getTime()} className="min-w-0 border-l border-line px-1.5 py-1.5">
              <h3 aria-label={dayName(day)} className={`flex items-baseline gap-1.5 text-xs ${today ? "font-semibold text-accent" : "text-quiet"}`}>
                <span>{day.toLocaleDateString("en-US", { weekday: "short" })}</span>
                <span className="text-base tabular-nums">{day.getDate()}</span>
              </h3>
              {anyWhole && (
                <ul aria-label={`Whole days and tasks, ${dayName(day)}`} className="mt-1 space-y-0.5">
                  {whole.map((meeting) => (
                    <li key={meeting.meetingId}>
                      <button
                        type="button"
                        onClick={() => onOpen(meeting)}
                        className="w-full truncate rounded-md bg-accent-soft px-1.5 py-0.5 text-left text-xs text-accent hover:bg-accent hover:text-on-accent"
                      >
                        {meeting.title || "Without a title"}
                      </button>
                    </li>
                  ))}
                  {due.map((task) => (
                    <li key={task.taskId}>
                      <DueTask task={task} short className="flex items-center gap-1 rounded-md px-1 py-0.5 text-xs hover:bg-hover" />
                    </li>
                  ))}
                </ul>
              )}
            </div>
          );
        })}
      </div>
      <div ref={scroll} tabIndex={0} role="group" aria-label="The hours of the week" className="max-h-[min(36rem,60vh)] overflow-y-auto [scrollbar-gutter:stable]">
        <div className="relative grid grid-cols-[3.25rem_repeat(7,minmax(0,1fr))]" style={{ height: `${24 * HOUR}px` }}>
          <div className="relative" aria-hidden="true">
            {Array.from({ length: 23 }, (_, index) => (
              <span key={index} className="absolute right-2 -translate-y-1/2 text-[0.6875rem] text-quiet tabular-nums" style={{ top: `${(index + 1) * HOUR}px` }}>
                {new Date(2000, 0, 1, index + 1).toLocaleTimeString([], { hour: "numeric" })}
              </span>
            ))}
          </div>
          {placed.map(({ day, timed }) => (
            <ul
              key={day.getTime()}
              aria-label={dayName(day)}
              className="relative min-w-0 border-l border-line bg-[repeating-linear-gradient(to_bottom,transparent_0,transparent_43px,var(--line)_43px,var(--line)_44px)]"
            >
              {timed.map((each) => (
                <Block key={each.meeting.meetingId} placed={each} onOpen={onOpen} />
              ))}
              {daysBetween(day, now) === 0 && (
                <li
                  aria-hidden="true"
                  className="pointer-events-none absolute inset-x-0 border-t-2 border-bad"
                  style={{ top: `${((now.getHours() * 60 + now.getMinutes()) * HOUR) / 60}px` }}
                />
              )}
            </ul>
          ))}
        </div>
      </div>
    </div>
  );
}

/** A task on the day that it is due; its place is the list of tasks. */
function DueTask({ task, short = false, className }: { task: Task; short?: boolean; className: string }) {
  const clock = task.dueTime ? timestampDate(task.dueTime).toLocaleTimeString([], { hour: "numeric", minute: "2-digit" }) : "";
  return (
    <Link href="/tasks" title={`${task.title}, due ${clock}`} className={className}>
      <span className="sr-only">Task, due {short ? `${clock}: ` : ""}</span>
      {short ? (
        <Square className="size-3 shrink-0 text-quiet" aria-hidden="true" />
      ) : (
        <span className="flex w-36 shrink-0 items-center gap-2 text-quiet tabular-nums">
          <Square className="size-3.5" aria-hidden="true" />
          {clock}{" "}
        </span>
      )}
      <span className="min-w-0 truncate">{task.title}</span>
    </Link>
  );
}

function Block({ placed: { meeting, start, end, column, columns }, onOpen }: { placed: Placed; onOpen: (meeting: Meeting) => void }) {
  const height = Math.max(20, ((end - start) * HOUR) / 60 - 2);
  return (
    <li
      className="absolute px-px"
      style={{ top: `${(start * HOUR) / 60}px`, height: `${height}px`, left: `${(100 * column) / columns}%`, width: `${100 / columns}%` }}
    >
      <button
        type="button"
        onClick={() => onOpen(meeting)}
        className="flex h-full w-full flex-col overflow-hidden rounded-md border-l-2 border-accent bg-accent-soft px-1.5 py-0.5 text-left text-xs leading-tight text-ink transition-colors hover:bg-hover"
      >
        <span className="shrink-0 truncate font-medium">{meeting.title || "Without a title"}</span>
        <span className={`truncate text-quiet tabular-nums ${height < 34 ? "sr-only" : ""}`}>{spanWords(meeting)}</span>
        {meeting.location && height > 64 && <span className="truncate text-quiet">{meeting.location}</span>}
      </button>
    </li>
  );
}

/** Whether the week is shown as a list also where there is room for more; kept in this browser. */
function useListChoice(): [boolean, (asList: boolean) => void] {
  const [asList, setAsList] = useState(() => {
    try {
      return localStorage.getItem(VIEW_KEY) === "list";
    } catch {
      return false;
    }
  });
  const set = (next: boolean) => {
    setAsList(next);
    try {
      localStorage.setItem(VIEW_KEY, next ? "list" : "week");
    } catch {
      // Storage is blocked: the choice lasts until the page is closed.
    }
  };
  return [asList, set];
}
