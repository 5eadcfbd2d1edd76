/** The calendar: meetings on their days, beside each other where they overlap; and accounts that come and go. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient } from "@parley/client";
import { EventSchema, ResourceType } from "@parley/protos/parley/events/v1/event_pb";
import { CalendarAccountKind, CalendarAccountState, MeetingSchema } from "@parley/protos/parley/workspace/v1/calendar_pb";
import { CalendarService, type CreateEventRequest, type DeleteEventRequest, type ListMeetingsRequest } from "@parley/protos/parley/workspace/v1/calendar_service_pb";
import { expect, test, vi } from "vitest";
import { Calendar } from "../src/state/calendar";
import { addDays, isWebLink, mondayOf, onDay, spanWords, weekName } from "../src/text/calendar";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };
const DAY = new Date(2026, 10, 23);

function meeting(name: string, start: [number, number, number?], end: [number, number, number?], more: MessageInitShape<typeof MeetingSchema> = {}) {
  const at = ([day, hour, minute = 0]: [number, number, number?]) => timestampFromDate(new Date(2026, 10, day, hour, minute));
  return create(MeetingSchema, { meetingId: `mtg_${name}`, eventId: `evt_${name}`, title: name, startTime: at(start), endTime: at(end), ...more });
}

const whole = (name: string, startDate: string, endDate: string) => create(MeetingSchema, { meetingId: `mtg_${name}`, title: name, allDay: true, startDate, endDate });

test("meetings that overlap stand beside each other, and others have the whole width", () => {
  const meetings = [
    meeting("long", [23, 9], [23, 11]),
    meeting("first", [23, 9, 30], [23, 10]),
    meeting("second", [23, 10], [23, 10, 30]),
    meeting("later", [23, 14], [23, 15]),
  ];
  const { timed } = onDay(meetings, DAY);
  expect(timed.map(({ meeting: { title }, column, columns }) => [title, column, columns])).toEqual([
    ["long", 0, 2],
    ["first", 1, 2],
    ["second", 1, 2],
    ["later", 0, 1],
  ]);
});

test("a meeting over midnight stands in both days, cut at their ends; one that fills a day is of the whole day", () => {
  const train = meeting("train", [23, 21], [25, 7]);
  expect(onDay([train], DAY).timed[0]).toMatchObject({ start: 21 * 60, end: 24 * 60 });
  expect(onDay([train], addDays(DAY, 1))).toMatchObject({ whole: [train], timed: [] });
  expect(onDay([train], addDays(DAY, 2)).timed[0]).toMatchObject({ start: 0, end: 7 * 60 });
  expect(onDay([train], addDays(DAY, 3))).toEqual({ whole: [], timed: [] });
});

test("whole days are days here, wherever they were meant", () => {
  const holiday = whole("holiday", "2026-11-24", "2026-11-26");
  const days = [0, 1, 2, 3].map((day) => onDay([holiday], addDays(DAY, day)).whole.length);
  expect(days).toEqual([0, 1, 1, 0]);
  expect(spanWords(holiday)).toBe("Nov 24 – Nov 25");
  expect(spanWords(whole("one", "2026-11-24", "2026-11-25"))).toBe("All day");
});

test("a meeting without a length is there, and is in one day only", () => {
  const moment = meeting("moment", [24, 0], [24, 0]);
  expect([0, 1, 2].map((day) => onDay([moment], addDays(DAY, day)).timed.length)).toEqual([0, 1, 0]);
});

test("weeks and spans have names", () => {
  expect(mondayOf(new Date(2026, 10, 29, 23, 59))).toEqual(DAY);
  expect(weekName(DAY)).toBe("November 23 – 29, 2026");
  expect(weekName(new Date(2026, 10, 30))).toBe("November 30 – December 6, 2026");
  expect(spanWords(meeting("a", [23, 9], [23, 10, 30]))).toMatch(/^9:00.* – 10:30/);
  expect(spanWords(meeting("a", [23, 22], [24, 2]))).toMatch(/^Nov 23 .* – Nov 24 /);
  expect(["https://a.example/b", "javascript:alert(1)", "Room 4", "https://a b"].map(isWebLink)).toEqual([true, false, false, false]);
});

function make() {
  const asked = { meetings: [] as ListMeetingsRequest[], created: [] as CreateEventRequest[], deleted: [] as DeleteEventRequest[] };
  const parley = new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) =>
      createRouterTransport(
        ({ service }) =>
          service(CalendarService, {
            listMeetings: (request) => {
              asked.meetings.push(request);
              return request.pageToken ? { meetings: [meeting("two", [24, 9], [24, 10])] } : { meetings: [meeting("one", [23, 9], [23, 10], { accountId: "cal_1" })], nextPageToken: "more" };
            },
            listCalendarAccounts: () => ({ accounts: [{ accountId: "cal_1", name: "Work" }] }),
            createCalendarAccount: ({ name }) => ({ account: { accountId: "cal_2", name, state: CalendarAccountState.PENDING } }),
            deleteCalendarAccount: () => ({}),
            createEvent: (request) => {
              asked.created.push(request);
              return {};
            },
            deleteEvent: (request) => {
              asked.deleted.push(request);
              return {};
            },
          }),
        { transport: { interceptors } },
      ),
  });
  return { calendar: new Calendar(parley), asked };
}

test("a week is read whole, another when it is gone to, and again when something in it changes", async () => {
  const { calendar, asked } = make();
  const leave = calendar.watch();
  await vi.waitFor(() => expect(calendar.store.getState().meetings.map(({ title }) => title)).toEqual(["one", "two"]));
  calendar.go(DAY);
  await vi.waitFor(() => expect(calendar.store.getState().loaded).toBe(true));
  const last = asked.meetings.at(-1)!;
  expect([timestampDate(last.startTime!), timestampDate(last.endTime!)]).toEqual([DAY, new Date(2026, 10, 30)]);
  const before = asked.meetings.length;
  calendar.observe(create(EventSchema, { resourceType: ResourceType.CALENDAR_EVENT }));
  calendar.observe(create(EventSchema, { resourceType: ResourceType.CALENDAR_EVENT }));
  await vi.waitFor(() => expect(asked.meetings.length).toBe(before + 2), 3000);
  leave();
});

test("an account that is connected is there at once, and one that is taken away takes its meetings along", async () => {
  const { calendar } = make();
  await calendar.refresh();
  await calendar.connect({ kind: CalendarAccountKind.FEED, name: "Choir", url: "https://a.example/c.ics", username: "", password: "" });
  expect(calendar.store.getState().accounts.map(({ name }) => name)).toEqual(["Work", "Choir"]);
  await calendar.disconnect("cal_1");
  expect(calendar.store.getState().accounts.map(({ name }) => name)).toEqual(["Choir"]);
  expect(calendar.store.getState().meetings.map(({ title }) => title)).toEqual(["two"]);
});

test("a meeting of whole days is sent as days, with the day after the last; one of a series is deleted alone", async () => {
  const { calendar, asked } = make();
  await calendar.add({ title: "Trip", location: "", start: DAY, end: addDays(DAY, 1), allDay: true });
  expect(asked.created[0]).toMatchObject({ startDate: "2026-11-23", endDate: "2026-11-25" });
  expect(asked.created[0]?.startTime).toBeUndefined();
  const one = meeting("one", [23, 9], [23, 10]);
  await calendar.remove(one, false);
  await calendar.remove(one, true);
  expect(asked.deleted.map(({ meetingId }) => meetingId)).toEqual(["mtg_one", ""]);
});
