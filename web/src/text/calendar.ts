/** Meetings on days: which belong to a day, where they stand in it, and the words for their times. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Meeting } from "@parley/protos/parley/workspace/v1/calendar_pb";
import { daysBetween } from "./tasks";

const DAY_MINUTES = 24 * 60;

/** A meeting as it stands in one day. */
export interface Placed {
  readonly meeting: Meeting;
  /** Minutes since the day's midnight, cut at its ends. */
  readonly start: number;
  readonly end: number;
  /** Which of so many columns it stands in, beside those at the same time. */
  readonly column: number;
  readonly columns: number;
}

/** When a meeting begins and ends, by this device's clock. Of whole days: the midnights of their days here, wherever they were meant. */
export function spanOf(meeting: Meeting): { start: Date; end: Date } {
  if (meeting.allDay) {
    const start = dateFrom(meeting.startDate);
    const end = dateFrom(meeting.endDate);
    return { start, end: end > start ? end : addDays(start, 1) };
  }
  const start = meeting.startTime ? timestampDate(meeting.startTime) : new Date(0);
  const end = meeting.endTime ? timestampDate(meeting.endTime) : start;
  return { start, end: end > start ? end : start };
}

/** The meetings that take place on a day, in their order: those of whole days, and those of a time with their places. */
export function onDay(meetings: readonly Meeting[], day: Date): { whole: Meeting[]; timed: Placed[] } {
  const next = addDays(day, 1);
  const those = meetings.filter((meeting) => {
    const { start, end } = spanOf(meeting);
    return start < next && (end > day || (start >= day && start.getTime() === end.getTime()));
  });
  const isWhole = (meeting: Meeting) => meeting.allDay || (spanOf(meeting).start <= day && spanOf(meeting).end >= next);
  return { whole: those.filter(isWhole), timed: place(those.filter((meeting) => !isWhole(meeting)), day) };
}

/** The Monday of a time's week, midnight. */
export function mondayOf(time: Date): Date {
  return addDays(midnight(time), -((time.getDay() + 6) % 7));
}

/** The same time of day some days later, also across changes of the clock. */
export function addDays(time: Date, days: number): Date {
  return new Date(time.getFullYear(), time.getMonth(), time.getDate() + days, time.getHours(), time.getMinutes());
}

export function midnight(time: Date): Date {
  return new Date(time.getFullYear(), time.getMonth(), time.getDate());
}

/** 9:00 – 10:30, all day, Nov 23 – Nov 25, Nov 23 22:00 – Nov 24 2:00. */
export function spanWords(meeting: Meeting): string {
  const { start, end } = spanOf(meeting);
  const date = (time: Date) => time.toLocaleDateString("en-US", { month: "short", day: "numeric" });
  const clock = (time: Date) => time.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  if (meeting.allDay) {
    const last = addDays(end, -1);
    return daysBetween(start, last) <= 0 ? "All day" : `${date(start)} – ${date(last)}`;
  }
  if (start.getTime() === end.getTime()) return clock(start);
  return daysBetween(start, end) === 0 ? `${clock(start)} – ${clock(end)}` : `${date(start)} ${clock(start)} – ${date(end)} ${clock(end)}`;
}

/** Monday, November 23. */
export function dayName(day: Date): string {
  return day.toLocaleDateString("en-US", { weekday: "long", month: "long", day: "numeric" });
}

/** November 23 – 29, 2026. */
export function weekName(monday: Date): string {
  const sunday = addDays(monday, 6);
  const month = (time: Date) => time.toLocaleDateString("en-US", { month: "long" });
  const last = month(monday) === month(sunday) ? `${sunday.getDate()}` : `${month(sunday)} ${sunday.getDate()}`;
  return `${month(monday)} ${monday.getDate()} – ${last}, ${sunday.getFullYear()}`;
}

/** Whether a link may be opened: one of the web. */
export function isWebLink(url: string): boolean {
  return /^https?:\/\/[^\s]+$/i.test(url);
}

/** Puts meetings that overlap beside each other: each group of them has as many columns as it needs. */
function place(meetings: readonly Meeting[], day: Date): Placed[] {
  // By the clock on the wall and not by what has passed: a day that is changed by an hour has 24 all the same.
  const minute = (time: Date) => daysBetween(day, time) * DAY_MINUTES + time.getHours() * 60 + time.getMinutes();
  const within = (value: number) => Math.min(DAY_MINUTES, Math.max(0, value));
  const placed: Placed[] = [];
  let group: { meeting: Meeting; start: number; end: number; column: number }[] = [];
  let ends: number[] = [];
  const close = () => {
    placed.push(...group.map((each) => ({ ...each, columns: ends.length })));
    group = [];
    ends = [];
  };
  const spans = meetings.map((meeting) => {
    const { start, end } = spanOf(meeting);
    return { meeting, start: within(minute(start)), end: within(minute(end)) };
  });
  spans.sort((one, other) => one.start - other.start || other.end - one.end);
  for (const span of spans) {
    // What is shorter than it can be drawn takes the room that it needs.
    const shownEnd = Math.max(span.end, span.start + 20);
    if (ends.every((end) => end <= span.start)) close();
    const free = ends.findIndex((end) => end <= span.start);
    const column = free < 0 ? ends.length : free;
    ends[column] = shownEnd;
    group.push({ ...span, column });
  }
  close();
  return placed;
}

function dateFrom(text: string): Date {
  const [year = 1970, month = 1, day = 1] = text.split("-").map(Number);
  return new Date(year, month - 1, day);
}
