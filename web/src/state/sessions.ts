/** The list of the user's sessions, and the search in them. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { create } from "@bufbuild/protobuf";
import type { Message } from "@parley/protos/parley/chat/v1/message_pb";
import { SessionSchema, type Session } from "@parley/protos/parley/chat/v1/session_pb";
import type { SessionMatch } from "@parley/protos/parley/chat/v1/chat_service_pb";
import { ResourceType, type Event } from "@parley/protos/parley/events/v1/event_pb";
import { createStore } from "zustand/vanilla";
import { transcript, type Transcript, type TranscriptKind } from "../text/transcript";

export interface SessionsState {
  /** The loaded sessions, last used first. */
  readonly sessions: readonly Session[];
  readonly loaded: boolean;
  readonly loading: boolean;
  readonly error: ParleyError | undefined;
  /** Asks for more. Empty when there are none. */
  readonly nextToken: string;
  /** The words that are searched for. Empty when nothing is. */
  readonly query: string;
  /** What was found for the query; undefined while the first answer is on its way. */
  readonly matches: readonly SessionMatch[] | undefined;
  readonly searchError: ParleyError | undefined;
}

const EMPTY: SessionsState = {
  sessions: [],
  loaded: false,
  loading: false,
  error: undefined,
  nextToken: "",
  query: "",
  matches: undefined,
  searchError: undefined,
};

/** How long after the last key the search starts, milliseconds. */
const SEARCH_DELAY_MS = 250;

export class Sessions {
  readonly store = createStore<SessionsState>(() => EMPTY);
  /** The sessions that are being deleted by this page. */
  readonly removing = new Set<string>();
  readonly #parley: ParleyClient;
  #searchTimer: ReturnType<typeof setTimeout> | undefined;
  #search: AbortController | undefined;
  /** For each page that is on its way, and may be older than they: the sessions that were told of meanwhile; undefined for those that are gone. */
  readonly #told = new Set<Map<string, Session | undefined>>();

  /** The project that the list is narrowed to. Empty for all. */
  #project = "";

  constructor(parley: ParleyClient) {
    this.#parley = parley;
  }

  /** Shows the sessions of one project, or all. */
  narrow(project: string): void {
    if (project === this.#project) return;
    this.#project = project;
    const { loaded, loading } = this.store.getState();
    this.clear();
    if (loaded || loading) void this.refresh();
  }

  /** Loads the newest page. What was loaded beyond it stays. */
  async refresh(): Promise<void> {
    this.store.setState({ loading: true });
    const told = new Map<string, Session | undefined>();
    this.#told.add(told);
    try {
      const projectId = this.#project;
      const page = await this.#parley.chat.listSessions({ pageSize: 50, projectId });
      if (projectId !== this.#project) return;
      const { sessions, loaded, nextToken } = this.store.getState();
      const fresh = new Set(page.sessions.map(({ sessionId }) => sessionId));
      const oldest = page.sessions.at(-1);
      // Beyond the page are the sessions that are older than its last one. Others that are missing from it were deleted elsewhere.
      const beyond = page.nextPageToken && oldest ? sessions.filter((session) => !fresh.has(session.sessionId) && isOlder(session, oldest)) : [];
      this.store.setState({
        sessions: [...page.sessions, ...beyond],
        nextToken: loaded && beyond.length > 0 ? nextToken : page.nextPageToken,
        loaded: true,
        loading: false,
        error: undefined,
      });
      for (const [sessionId, session] of told) this.#place(sessionId, session);
    } catch (thrown) {
      this.store.setState({ loading: false, error: toParleyError(thrown) });
    } finally {
      this.#told.delete(told);
    }
  }

  /** Shows what happened, on this device or another. */
  observe({ resourceType, resourceId, resource }: Event): void {
    if (resourceType !== ResourceType.SESSION) return;
    const told = resource.case === "session" ? resource.value : undefined;
    const session = told && (!this.#project || told.projectId === this.#project) ? told : undefined;
    const known = this.store.getState().sessions.find(({ sessionId }) => sessionId === resourceId);
    // The list may have been read after it happened.
    if (session && known && timeOf(session.updateTime) < timeOf(known.updateTime)) return;
    this.#tell(resourceId, session);
  }

  async loadMore(): Promise<void> {
    const { nextToken, loading } = this.store.getState();
    if (!nextToken || loading) return;
    this.store.setState({ loading: true });
    try {
      const projectId = this.#project;
      const page = await this.#parley.chat.listSessions({ pageSize: 50, pageToken: nextToken, projectId });
      if (projectId !== this.#project) return;
      const { sessions } = this.store.getState();
      const known = new Set(sessions.map(({ sessionId }) => sessionId));
      this.store.setState({
        sessions: [...sessions, ...page.sessions.filter(({ sessionId }) => !known.has(sessionId))],
        nextToken: page.nextPageToken,
        loading: false,
      });
    } catch (thrown) {
      this.store.setState({ loading: false, error: toParleyError(thrown) });
    }
  }

  /** Renames a session, on the screen at once. Throws ParleyError, with the old name back, when the server refuses. */
  async rename(sessionId: string, title: string): Promise<void> {
    const before = this.store.getState().sessions.find((session) => session.sessionId === sessionId);
    this.#replace(sessionId, (session) => ({ ...session, title }));
    try {
      const { session } = await this.#parley.chat.updateSession({ sessionId, title, updateMask: { paths: ["title"] } });
      if (session) this.#replace(sessionId, () => session);
    } catch (thrown) {
      if (before) this.#replace(sessionId, () => before);
      throw toParleyError(thrown);
    }
  }

  /** Moves a session into a project, or out of all. Throws ParleyError. */
  async move(sessionId: string, projectId: string): Promise<void> {
    const { session } = await this.#parley.chat.updateSession({ sessionId, projectId, updateMask: { paths: ["project_id"] } });
    if (session) this.#tell(sessionId, this.#project && projectId !== this.#project ? undefined : session);
  }

  /** The project that a session belongs to; empty for none. Throws ParleyError when it is not in the list and cannot be read. */
  async projectOf(sessionId: string): Promise<string> {
    const { sessions, matches } = this.store.getState();
    const known = [...sessions, ...(matches ?? []).flatMap(({ session }) => session ?? [])].find((session) => session.sessionId === sessionId);
    return (known ?? (await this.#parley.chat.getSession({ sessionId })).session)?.projectId ?? "";
  }

  /** Deletes a session. Throws ParleyError when the server refuses. */
  async remove(sessionId: string): Promise<void> {
    this.removing.add(sessionId);
    try {
      await this.#parley.chat.deleteSession({ sessionId });
      this.#tell(sessionId, undefined);
    } finally {
      this.removing.delete(sessionId);
    }
  }

  /** Reads a whole conversation, all branches of it, for a file. Throws ParleyError. */
  async export(sessionId: string, kind: TranscriptKind): Promise<Transcript> {
    const { session } = await this.#parley.chat.getSession({ sessionId });
    const newestFirst: Message[] = [];
    for (let pageToken = ""; ; ) {
      const page = await this.#parley.chat.listMessages({ sessionId, pageSize: 100, pageToken });
      newestFirst.push(...page.messages);
      pageToken = page.nextPageToken;
      if (!pageToken) break;
    }
    return transcript(session ?? create(SessionSchema, { sessionId }), newestFirst.toReversed(), kind);
  }

  /** Searches for words as they are typed; an empty text ends the search. */
  search(text: string): void {
    clearTimeout(this.#searchTimer);
    this.#search?.abort();
    const query = text.trim();
    const { query: before, matches } = this.store.getState();
    this.store.setState({ query: text, searchError: undefined, matches: query && before.trim() ? matches : undefined });
    if (!query) return;
    const controller = new AbortController();
    this.#search = controller;
    this.#searchTimer = setTimeout(() => {
      this.#parley.chat
        .searchSessions({ query: Array.from(query).slice(0, 200).join(""), pageSize: 30, projectId: this.#project }, { signal: controller.signal })
        .then((found) => this.store.setState({ matches: found.matches }))
        .catch((thrown: unknown) => {
          if (!controller.signal.aborted) this.store.setState({ matches: [], searchError: toParleyError(thrown) });
        });
    }, SEARCH_DELAY_MS);
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    clearTimeout(this.#searchTimer);
    this.#search?.abort();
    this.#told.clear();
    this.store.setState(EMPTY, true);
  }

  #tell(sessionId: string, session: Session | undefined): void {
    for (const told of this.#told) told.set(sessionId, session);
    this.#place(sessionId, session);
  }

  /** Puts a session where its time belongs, or takes it out. One that is older than all that are loaded comes with its page. */
  #place(sessionId: string, session: Session | undefined): void {
    const { sessions, matches, nextToken } = this.store.getState();
    const others = sessions.filter((each) => each.sessionId !== sessionId);
    const oldest = others.at(-1);
    const beyond = session !== undefined && nextToken !== "" && oldest !== undefined && timeOf(session.updateTime) < timeOf(oldest.updateTime);
    this.store.setState({
      sessions: session && !beyond ? [...others, session].sort((one, other) => (timeOf(one.updateTime) < timeOf(other.updateTime) ? 1 : -1)) : others,
      matches: session
        ? matches?.map((match) => (match.session?.sessionId === sessionId ? { ...match, session } : match))
        : matches?.filter((match) => match.session?.sessionId !== sessionId),
    });
  }

  #replace(sessionId: string, change: (session: Session) => Session): void {
    const { sessions, matches } = this.store.getState();
    this.store.setState({
      sessions: sessions.map((session) => (session.sessionId === sessionId ? change(session) : session)),
      matches: matches?.map((match) =>
        match.session?.sessionId === sessionId ? { ...match, session: change(match.session) } : match,
      ),
    });
  }
}

function isOlder(session: Session, than: Session): boolean {
  return (session.updateTime?.seconds ?? 0n) <= (than.updateTime?.seconds ?? 0n);
}

/** Nanoseconds since 1970. */
function timeOf(time: Session["updateTime"]): bigint {
  return time ? time.seconds * 1_000_000_000n + BigInt(time.nanos) : 0n;
}
