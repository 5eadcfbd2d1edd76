/** Days beside each other, by the hours: a week of them, or one. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Square } from "lucide-react";
import { useEffect, useRef } from "react";
import { Link } from "wouter";
import type { Meeting } from "@parley/protos/parley/workspace/v1/calendar_pb";
import type { Task } from "@parley/protos/parley/workspace/v1/task_pb";
import { dayName, onDay, spanWords, type Placed } from "../text/calendar";
import { daysBetween, dueOn } from "../text/tasks";

export interface DaysProps {
  days: readonly Date[];
  meetings: readonly Meeting[];
  tasks: ReadonlyMap<string, Task>;
  now: Date;
  onOpen: (meeting: Meeting) => void;
}

/** How high an hour is, pixels. */
const HOUR = 44;

interface GridProps extends DaysProps {
  /** Shows one of the days by itself. Absent where it is. */
  onDay?: (day: Date) => void;
}

export function CalendarGrid({ days, meetings, tasks, now, onOpen, onDay: showDay }: GridProps) {
  const scroll = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The night is there, and not what is looked for first.
    scroll.current?.scrollTo({ top: 7 * HOUR });
  }, []);
  const placed = days.map((day) => ({ day, due: dueOn(tasks.values(), day), ...onDay(meetings, day) }));
  const columns = days.length === 1 ? "grid-cols-[3.25rem_minmax(0,1fr)]" : "grid-cols-[3.25rem_repeat(7,minmax(0,1fr))]";
  const anyWhole = placed.some(({ whole, due }) => whole.length + due.length > 0);
  return (
    <div className="overflow-hidden rounded-2xl border border-line bg-raised">
      <div className={`grid ${columns} border-b border-line pr-2`}>
        <span />
        {placed.map(({ day, whole, due }) => {
          const today = daysBetween(day, now) === 0;
          return (
            <div key={day.getTime()} className="min-w-0 border-l border-line px-1.5 py-1.5">
              <h3 aria-label={dayName(day)} className={`text-xs ${today ? "font-semibold text-accent" : "text-quiet"}`}>
                {showDay ? (
                  <button
                    type="button"
                    aria-label={`Show ${dayName(day)}`}
                    onClick={() => showDay(day)}
                    className="-mx-1 flex min-h-6 items-baseline gap-1.5 rounded-md px-1 hover:bg-hover"
                  >
                    <DayMark day={day} />
                  </button>
                ) : (
                  <span className="flex min-h-6 items-baseline gap-1.5">
                    <DayMark day={day} />
                  </span>
                )}
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
      <div ref={scroll} tabIndex={0} role="group" aria-label={days.length === 1 ? "The hours of the day" : "The hours of the week"} className="max-h-[min(36rem,60vh)] overflow-y-auto [scrollbar-gutter:stable]">
        <div className={`relative grid ${columns}`} style={{ height: `${24 * HOUR}px` }}>
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

function DayMark({ day }: { day: Date }) {
  return (
    <>
      <span>{day.toLocaleDateString("en-US", { weekday: "short" })}</span>
      <span className="text-base tabular-nums">{day.getDate()}</span>
    </>
  );
}

/** A task on the day that it is due; its place is the list of tasks. */
export function DueTask({ task, short = false, className }: { task: Task; short?: boolean; className: string }) {
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
