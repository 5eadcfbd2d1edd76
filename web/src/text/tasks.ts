/** Tasks in words for a person: when they are due, how they recur, when they remind. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { TaskPriority, TaskState, type Task } from "@parley/protos/parley/workspace/v1/task_pb";

/** The heading under which an open task stands. */
export type Due = "Overdue" | "Today" | "Tomorrow" | "Next 7 days" | "Later" | "No date";

export const DUES: readonly Due[] = ["Overdue", "Today", "Tomorrow", "Next 7 days", "Later", "No date"];

const DAY_MS = 86_400_000;

/** Where an open task belongs. */
export function dueOf(task: Task, now: Date): Due {
  if (!task.dueTime) return "No date";
  const due = timestampDate(task.dueTime);
  if (due < now) return "Overdue";
  const days = daysBetween(now, due);
  if (days <= 0) return "Today";
  if (days === 1) return "Tomorrow";
  return days <= 7 ? "Next 7 days" : "Later";
}

/** Open tasks as they are worked on: by due time, then those that matter most, then the newest. */
export function inOrder(tasks: Iterable<Task>): Task[] {
  const due = ({ dueTime }: Task) => (dueTime ? Number(dueTime.seconds) : Number.POSITIVE_INFINITY);
  const made = ({ createTime }: Task) => Number(createTime?.seconds ?? 0n);
  return [...tasks].sort((one, other) => {
    if (due(one) !== due(other)) return due(one) - due(other);
    return other.priority - one.priority || made(other) - made(one) || (one.taskId < other.taskId ? -1 : 1);
  });
}

/** The open tasks that are due on a day, as they are worked on. */
export function dueOn(tasks: Iterable<Task>, day: Date): Task[] {
  return inOrder([...tasks].filter(({ state, dueTime }) => state === TaskState.OPEN && dueTime && daysBetween(day, timestampDate(dueTime)) === 0));
}

/** Completed tasks, the last done first. */
export function lastDoneFirst(tasks: Iterable<Task>): Task[] {
  const done = ({ completeTime, updateTime }: Task) => Number(completeTime?.seconds ?? updateTime?.seconds ?? 0n);
  return [...tasks].sort((one, other) => done(other) - done(one) || (one.taskId < other.taskId ? -1 : 1));
}

/** When something is or was: today 14:05, tomorrow 9:00, yesterday 9:00, Mon 9:00, Nov 30 9:00, Nov 30, 2027 9:00. */
export function when(time: Date, now: Date): string {
  const clock = time.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  return `${day(time, now)} ${clock}`;
}

/** The day of a time: today, tomorrow, yesterday, Mon, Nov 30, Nov 30, 2027. */
export function day(time: Date, now: Date): string {
  const days = daysBetween(now, time);
  if (days === 0) return "today";
  if (days === 1) return "tomorrow";
  if (days === -1) return "yesterday";
  if (days > 1 && days < 7) return time.toLocaleDateString("en-US", { weekday: "short" });
  return time.toLocaleDateString("en-US", { month: "short", day: "numeric", ...(time.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }) });
}

/** When a task is due, in words; undefined when it is not. */
export function dueWords(task: Task, now: Date): string | undefined {
  if (!task.dueTime) return undefined;
  const due = timestampDate(task.dueTime);
  const words = when(due, now);
  return task.state === TaskState.OPEN && due < now ? `Overdue since ${words}` : `Due ${words}`;
}

/** When a task reminds: at the time, 30 minutes before. */
export function remindWords(minutes: number): string {
  if (minutes === 0) return "at the time";
  if (minutes % 10_080 === 0) return `${plural(minutes / 10_080, "week")} before`;
  if (minutes % 1440 === 0) return `${plural(minutes / 1440, "day")} before`;
  if (minutes % 60 === 0) return `${plural(minutes / 60, "hour")} before`;
  return `${plural(minutes, "minute")} before`;
}

const UNITS: Readonly<Record<string, string>> = { DAILY: "day", WEEKLY: "week", MONTHLY: "month", YEARLY: "year" };
const DAYS: Readonly<Record<string, string>> = { MO: "Monday", TU: "Tuesday", WE: "Wednesday", TH: "Thursday", FR: "Friday", SA: "Saturday", SU: "Sunday" };
const PLACES: Readonly<Record<string, string>> = { "1": "first", "2": "second", "3": "third", "4": "fourth", "5": "fifth", "-1": "last", "-2": "second to last" };

/** How a task recurs, in words: every week on Monday, every 2 months on day 1, 5 times. What has no such words, as the rule has it. */
export function recurrenceWords(rule: string): string {
  const parts = new Map(rule.split(";").map((part) => part.split("=", 2) as [string, string]));
  const unit = UNITS[parts.get("FREQ") ?? ""];
  const unusual = ["BYMONTH", "BYSETPOS"].some((name) => parts.has(name));
  if (!unit || unusual) return `by the rule ${rule}`;
  const interval = Number(parts.get("INTERVAL") ?? 1);
  const days = parts.get("BYDAY")?.split(",") ?? [];
  const monthDays = parts.get("BYMONTHDAY")?.split(",") ?? [];
  const count = parts.get("COUNT");
  const until = /^(\d{4})(\d{2})(\d{2})/.exec(parts.get("UNTIL") ?? "");
  const workdays = unit === "week" && interval === 1 && [...days].sort().join() === "FR,MO,TH,TU,WE";
  return [
    workdays ? "every weekday" : interval === 1 ? `every ${unit}` : `every ${interval} ${unit}s`,
    days.length > 0 && !workdays && `on ${list(days.map(dayWords))}`,
    monthDays.length > 0 && `on ${list(monthDays.map((number) => (number === "-1" ? "the last day" : Number(number) < 0 ? `day ${number} from the end` : `day ${number}`)))}`,
    count && `, ${count === "1" ? "once more" : `${count} times`}`,
    until && `, until ${new Date(Number(until[1]), Number(until[2]) - 1, Number(until[3])).toLocaleDateString("en-US", { month: "short", day: "numeric", year: "numeric" })}`,
  ]
    .filter(Boolean)
    .join(" ")
    .replaceAll(" ,", ",");
}

export const PRIORITY_NAMES: Partial<Record<TaskPriority, string>> = {
  [TaskPriority.LOW]: "Low",
  [TaskPriority.NORMAL]: "Normal",
  [TaskPriority.HIGH]: "High",
};

/** A time as the browser's own field has it: this device's zone, whole minutes. */
export function toField(time: Date | undefined): string {
  if (!time) return "";
  const two = (value: number) => String(value).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}T${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** The time of the browser's own field. Undefined when it is empty or half filled in. */
export function fromField(text: string): Date | undefined {
  const time = new Date(text);
  return text && !Number.isNaN(time.getTime()) ? time : undefined;
}

/** Whole days from one time to another, by this device's calendar. */
export function daysBetween(from: Date, to: Date): number {
  const midnight = (date: Date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  return Math.round((midnight(to) - midnight(from)) / DAY_MS);
}

function dayWords(code: string): string {
  const [, place, name] = /^([+-]?\d+)?([A-Z]{2})$/.exec(code) ?? [];
  const words = DAYS[name ?? ""] ?? code;
  return place ? `the ${PLACES[String(Number(place))] ?? `${Number(place)}.`} ${words}` : words;
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function plural(value: number, unit: string): string {
  return `${value} ${unit}${value === 1 ? "" : "s"}`;
}
