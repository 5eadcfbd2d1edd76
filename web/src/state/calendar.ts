/** The user's calendar: the meetings of the days that are looked at, and the places that they come from. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ResourceType, type Event } from "@parley/protos/parley/events/v1/event_pb";
import type { CalendarAccount, CalendarAccountKind, Meeting } from "@parley/protos/parley/workspace/v1/calendar_pb";
import { CalendarService } from "@parley/protos/parley/workspace/v1/calendar_service_pb";
import { createStore } from "zustand/vanilla";
import { addDays, mondayOf } from "../text/calendar";

/** What a form has of an account. */
export interface AccountFields {
  readonly kind: CalendarAccountKind;
  readonly name: string;
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

/** What a form has of a meeting of one's own. */
export interface MeetingFields {
  readonly title: string;
  readonly location: string;
  /** Of whole days: midnights, the last day included. */
  readonly start: Date;
  readonly end: Date;
  readonly allDay: boolean;
}

export interface CalendarState {
  /** The first day that is shown, a Monday at midnight. */
  readonly monday: Date;
  readonly meetings: readonly Meeting[];
  readonly accounts: readonly CalendarAccount[];
  readonly loaded: boolean;
  readonly loading: boolean;
  readonly error: ParleyError | undefined;
}

const PAGE_SIZE = 200;
/** How many meetings of a week are shown at most. */
const MOST = 600;
/** After something happened, how long to wait for more: a synchronization tells of each event. */
const SOON_MS = 500;

export class Calendar {
  readonly store = createStore<CalendarState>(() => empty());
  readonly #service;
  #asked = 0;
  #watchers = 0;
  #soon: ReturnType<typeof setTimeout> | undefined;

  constructor(parley: ParleyClient) {
    this.#service = parley.service(CalendarService);
  }

  /** Shows another week. */
  go(monday: Date): void {
    this.store.setState({ monday, meetings: [], loaded: false });
    void this.refresh();
  }

  async refresh(): Promise<void> {
    clearTimeout(this.#soon);
    const asked = (this.#asked += 1);
    this.store.setState({ loading: true });
    const { monday } = this.store.getState();
    try {
      const [meetings, { accounts }] = await Promise.all([this.#meetings(monday), this.#service.listCalendarAccounts({})]);
      if (asked === this.#asked) this.store.setState({ meetings, accounts, loaded: true, loading: false, error: undefined });
    } catch (thrown) {
      if (asked === this.#asked) this.store.setState({ loading: false, error: toParleyError(thrown) });
    }
  }

  /** Keeps it up to date while somebody looks. Returns what ends it. */
  watch(): () => void {
    this.#watchers += 1;
    void this.refresh();
    return () => {
      this.#watchers -= 1;
      clearTimeout(this.#soon);
    };
  }

  /** Reads it anew when something in it has changed: here, by the assistant, or by a synchronization. */
  observe({ resourceType }: Event): void {
    if (this.#watchers === 0) return;
    if (resourceType !== ResourceType.CALENDAR_EVENT && resourceType !== ResourceType.CALENDAR_ACCOUNT) return;
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => void this.refresh(), SOON_MS);
  }

  /** What happened for a while is not known. */
  renew(): void {
    if (this.#watchers > 0) void this.refresh();
  }

  /** Connects a calendar. Its meetings come when its first synchronization has ended. Throws ParleyError. */
  async connect(fields: AccountFields): Promise<void> {
    const { account } = await this.#service.createCalendarAccount({ ...fields, timeZone: zone() });
    if (account) this.#putAccounts([account]);
  }

  /** Synchronizes an account now. Throws ParleyError. */
  async sync(accountId: string): Promise<void> {
    const { accounts } = await this.#service.syncCalendars({ accountId });
    this.#putAccounts(accounts);
    await this.refresh();
  }

  /** Takes an account away, with its meetings here. Throws ParleyError. */
  async disconnect(accountId: string): Promise<void> {
    await this.#service.deleteCalendarAccount({ accountId });
    const { accounts, meetings } = this.store.getState();
    this.store.setState({
      accounts: accounts.filter((account) => account.accountId !== accountId),
      meetings: meetings.filter((meeting) => meeting.accountId !== accountId),
    });
  }

  /** Makes a meeting in the user's own calendar. Throws ParleyError. */
  async add({ title, location, start, end, allDay }: MeetingFields): Promise<void> {
    const times = allDay
      ? { startDate: dateOf(start), endDate: dateOf(addDays(end, 1)) }
      : { startTime: timestampFromDate(start), endTime: timestampFromDate(end), timeZone: zone() };
    await this.#service.createEvent({ title, location, ...times });
    await this.refresh();
  }

  /** Deletes a meeting of the user's own: of a series this one time, or all. Throws ParleyError. */
  async remove({ eventId, meetingId }: Meeting, wholeSeries: boolean): Promise<void> {
    await this.#service.deleteEvent({ eventId, meetingId: wholeSeries ? "" : meetingId });
    await this.refresh();
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    clearTimeout(this.#soon);
    this.#asked += 1;
    this.store.setState(empty(), true);
  }

  async #meetings(monday: Date): Promise<Meeting[]> {
    const meetings: Meeting[] = [];
    const span = { startTime: timestampFromDate(monday), endTime: timestampFromDate(addDays(monday, 7)), timeZone: zone() };
    for (let pageToken = ""; meetings.length < MOST; ) {
      const page = await this.#service.listMeetings({ ...span, pageSize: PAGE_SIZE, pageToken });
      meetings.push(...page.meetings);
      pageToken = page.nextPageToken;
      if (!pageToken) break;
    }
    return meetings;
  }

  #putAccounts(changed: readonly CalendarAccount[]): void {
    const byId = new Map([...this.store.getState().accounts, ...changed].map((account) => [account.accountId, account]));
    this.store.setState({ accounts: [...byId.values()] });
  }
}

function empty(): CalendarState {
  return { monday: mondayOf(new Date()), meetings: [], accounts: [], loaded: false, loading: false, error: undefined };
}

function dateOf(time: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}

function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
