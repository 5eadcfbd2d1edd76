/** The user's conversations: new, open, search, rename, delete. */
import { CalendarDays, ChartColumn, Files, ListTodo, PanelLeftClose, Search, SquarePen, X } from "lucide-react";
import { useEffect, useMemo, useRef, type ReactNode } from "react";
import { useLocation } from "wouter";
import { useStore } from "zustand";
import type { Session } from "@parley/protos/parley/chat/v1/session_pb";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Button, IconButton } from "../parts/buttons";
import { Mark } from "../parts/Mark";
import { wordsFor } from "../rpc/errors";
import { sessions as store } from "../state/app";
import { period } from "../text/figures";
import { INSIGHTS } from "../text/insights";
import { ProjectSwitch } from "./ProjectSwitch";
import { SessionRow } from "./SessionRow";
import { StatusDot } from "./StatusDot";
import { UserMenu } from "./UserMenu";

interface SidebarProps {
  current: string | undefined;
  onGo: (path: string) => void;
  onClose: () => void;
}

export function Sidebar({ current, onGo, onClose }: SidebarProps) {
  const { sessions, loaded, error, query, matches, searchError } = useStore(store.store);
  const searching = query.trim() !== "";
  return (
    <nav aria-label="Conversations" className="flex h-full flex-col bg-sunken">
      <div className="flex h-14 items-center gap-2.5 pr-2 pl-4">
        <Mark className="size-7" />
        <span className="flex-1 font-serif text-xl tracking-[-0.01em]">Parley</span>
        <IconButton label="Hide conversations" onClick={onClose}>
          <PanelLeftClose className="size-5" />
        </IconButton>
      </div>
      <div className="space-y-2 px-3 pb-3">
        <Button className="w-full justify-start px-3" onClick={() => onGo("/")}>
          <SquarePen className="size-4" aria-hidden="true" />
          New chat
        </Button>
        <ProjectSwitch onGo={onGo} />
        <SearchField query={query} />
        <div>
          <PanelLink path="/tasks" onGo={onGo} icon={<ListTodo className="size-4 text-quiet" aria-hidden="true" />}>
            Tasks
          </PanelLink>
          <PanelLink path="/calendar" onGo={onGo} icon={<CalendarDays className="size-4 text-quiet" aria-hidden="true" />}>
            Calendar
          </PanelLink>
          <PanelLink path="/documents" onGo={onGo} icon={<Files className="size-4 text-quiet" aria-hidden="true" />}>
            Documents
          </PanelLink>
          <PanelLink path="/usage" others={INSIGHTS} onGo={onGo} icon={<ChartColumn className="size-4 text-quiet" aria-hidden="true" />}>
            Insights
          </PanelLink>
        </div>
      </div>
      <div
        className="min-h-0 flex-1 overflow-y-auto px-3 pb-3"
        onKeyDown={(event) => {
          const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
          if (step && (event.target as HTMLElement).matches("a[data-session]") && walk(event.target as HTMLElement, step)) event.preventDefault();
        }}
      >
        {searching ? (
          <Matches current={current} onGo={onGo} />
        ) : (
          <SessionList sessions={sessions} current={current} onGo={onGo} />
        )}
        {!searching && loaded && sessions.length === 0 && <p className="px-2.5 py-2 text-sm text-quiet">Your conversations will be here.</p>}
        {!searching && error && sessions.length === 0 && (
          <div className="space-y-2 px-2.5 py-2 text-sm text-quiet">
            <p>{wordsFor(error)}</p>
            <Button onClick={() => void store.refresh()}>Try again</Button>
          </div>
        )}
        {searching && matches?.length === 0 && (
          <p className="px-2.5 py-2 text-sm text-quiet">{searchError ? wordsFor(searchError) : `Nothing holds “${query.trim()}”.`}</p>
        )}
      </div>
      <div className="flex items-center gap-1 border-t border-line p-2">
        <UserMenu onGo={onGo} />
        <StatusDot onGo={onGo} side="top" />
      </div>
    </nav>
  );
}

interface PanelLinkProps {
  path: string;
  /** What is behind the same link, too. */
  others?: readonly { path: string }[];
  onGo: (path: string) => void;
  icon: ReactNode;
  children: ReactNode;
}

function PanelLink({ path, others = [], onGo, icon, children }: PanelLinkProps) {
  const [location] = useLocation();
  const current = location === path || others.some((other) => other.path === location);
  return (
    <a
      href={path}
      aria-current={current ? "page" : undefined}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        onGo(path);
      }}
      className="flex h-8.5 items-center gap-2 rounded-lg pl-3 text-sm transition-colors hover:bg-hover aria-[current]:bg-hover aria-[current]:font-medium"
    >
      {icon}
      {children}
    </a>
  );
}

/** Moves the focus through the conversations in the list; above the first stands the search. False where there is none to go to. */
function walk(from: HTMLElement, step: 1 | -1): boolean {
  const nav = from.closest("nav");
  const links = Array.from(nav?.querySelectorAll<HTMLElement>("a[data-session]") ?? []);
  const at = links.indexOf(from) + step;
  const to = at < 0 ? nav?.querySelector<HTMLElement>("input[aria-label='Search conversations']") : links[at];
  to?.focus();
  return to !== undefined && to !== null;
}

function SearchField({ query }: { query: string }) {
  return (
    <div className="relative" role="search">
      <Search className="pointer-events-none absolute top-1/2 left-3 size-4 -translate-y-1/2 text-quiet" aria-hidden="true" />
      <input
        type="text"
        aria-label="Search conversations"
        placeholder="Search"
        value={query}
        maxLength={200}
        onChange={(event) => store.search(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") store.search("");
          if (event.key === "ArrowDown" && walk(event.currentTarget, 1)) event.preventDefault();
        }}
        className="h-9 w-full rounded-lg bg-transparent pr-9 pl-9 text-sm transition-colors outline-none hover:bg-hover focus:bg-raised focus:ring-1 focus:ring-line-strong"
      />
      {query && (
        <IconButton small label="Clear search" onClick={() => store.search("")} className="absolute top-1 right-1">
          <X className="size-4" />
        </IconButton>
      )}
    </div>
  );
}

function SessionList({ sessions, current, onGo }: { sessions: readonly Session[]; current: string | undefined; onGo: (path: string) => void }) {
  const groups = useMemo(() => {
    const now = new Date();
    return Object.entries(Object.groupBy(sessions, ({ updateTime }) => period(updateTime ? timestampDate(updateTime) : now, now)));
  }, [sessions]);
  return (
    <>
      {groups.map(([name, members]) => (
        <section key={name} aria-label={name} className="mb-3">
          <h2 className="px-2.5 py-1.5 text-xs font-medium text-quiet">{name}</h2>
          <ul>
            {members?.map((session) => (
              <SessionRow key={session.sessionId} session={session} current={session.sessionId === current} onGo={onGo} />
            ))}
          </ul>
        </section>
      ))}
      <More />
    </>
  );
}

/** Loads the next page when it comes into sight. */
function More() {
  const nextToken = useStore(store.store, (state) => state.nextToken);
  const sight = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = sight.current;
    if (!element) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && void store.loadMore());
    observer.observe(element);
    return () => observer.disconnect();
  }, [nextToken]);
  if (!nextToken) return null;
  return (
    <div ref={sight}>
      <Button className="w-full border-transparent bg-transparent text-quiet" onClick={() => void store.loadMore()}>
        Show more
      </Button>
    </div>
  );
}

function Matches({ current, onGo }: { current: string | undefined; onGo: (path: string) => void }) {
  const { matches, query } = useStore(store.store);
  if (!matches) return <p className="px-2.5 py-2 text-sm text-quiet">Searching…</p>;
  return (
    <ul aria-label="Found conversations">
      {matches.map(
        ({ session, snippet, messageId }) =>
          session && (
            <SessionRow key={session.sessionId} session={session} found={{ query, snippet, messageId }} current={session.sessionId === current} onGo={onGo} />
          ),
      )}
    </ul>
  );
}
