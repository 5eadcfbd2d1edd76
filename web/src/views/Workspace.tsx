/** The page of somebody who is signed in: conversations at the side, one in the middle, a document beside it. */
import { PanelLeftOpen, SquarePen } from "lucide-react";
import { lazy, Suspense, useEffect, useState, type LazyExoticComponent, type ReactNode } from "react";
import { useLocation, useRoute } from "wouter";
import { useStore } from "zustand";
import { Boundary } from "../parts/Boundary";
import { Button, IconButton } from "../parts/buttons";
import { HintProvider } from "../parts/Hint";
import { Notice } from "../parts/Notice";
import { Sheet } from "../parts/Sheet";
import { conversations, live, navigation, projects, sessions } from "../state/app";
import { closeDocument, reading } from "../state/reading";
import { INSIGHTS } from "../text/insights";
import { ConversationView } from "./ConversationView";
import { LostConnection } from "./LostConnection";
import { Reminders } from "./Reminders";
import { Shortcuts } from "./Shortcuts";
import { Sidebar } from "./Sidebar";
import { StatusDot } from "./StatusDot";
import { Toast } from "./Toast";

const WIDE = "(min-width: 1024px)";

const DocumentPanel = lazy(() => import("./DocumentPanel").then((module) => ({ default: module.DocumentPanel })));

const Insights = lazy(() => import("./Insights").then((module) => ({ default: module.Insights })));

/** What is not a conversation, by its path: each comes when it is first looked at. */
const PANELS: readonly { path: string; name: string; group?: string; Panel: LazyExoticComponent<() => ReactNode> }[] = [
  { path: "/tasks", name: "Tasks", Panel: lazy(() => import("./Tasks").then((module) => ({ default: module.Tasks }))) },
  { path: "/calendar", name: "Calendar", Panel: lazy(() => import("./CalendarPanel").then((module) => ({ default: module.CalendarPanel }))) },
  { path: "/documents", name: "Documents", Panel: lazy(() => import("./Documents").then((module) => ({ default: module.Documents }))) },
  { path: "/projects", name: "Projects", Panel: lazy(() => import("./Projects").then((module) => ({ default: module.Projects }))) },
  { path: "/account", name: "Account", Panel: lazy(() => import("./AccountPanel").then((module) => ({ default: module.AccountPanel }))) },
  { path: "/system", name: "System", Panel: lazy(() => import("./SystemPanel").then((module) => ({ default: module.SystemPanel }))) },
  ...INSIGHTS.map(({ path, name }) => ({ path, name, group: "insights", Panel: Insights })),
];

export function Workspace() {
  const [location, setLocation] = useLocation();
  const [matched, params] = useRoute("/c/:sessionId");
  const panel = PANELS.find(({ path }) => path === location);
  const sessionId = matched ? params.sessionId : undefined;
  const conversation = conversations.get(sessionId);
  const { citation, opener } = useStore(reading);
  const [open, setOpen] = useSidebar();
  navigation.go = setLocation;

  useEffect(() => {
    projects.restore();
    void sessions.refresh();
    void projects.refresh();
  }, []);
  useEffect(() => live.watch(), []);
  useRefreshOnReturn(sessionId);
  useEffect(() => closeDocument, [conversation, panel]);

  const title = useStore(sessions.store, (state) => state.sessions.find((session) => session.sessionId === sessionId)?.title);
  useEffect(() => {
    const name = panel?.name ?? title;
    document.title = name ? `${name} – Parley` : "Parley";
  }, [title, panel]);

  const go = (path: string) => {
    setLocation(path);
    if (!matchMedia(WIDE).matches) setOpen(false);
  };

  return (
    <HintProvider delayDuration={400} skipDelayDuration={200}>
      <div className="flex h-full">
        {open && (
          <Sheet
            wide={WIDE}
            label="Conversations"
            beside="w-72 border-r border-line"
            over="m-0 w-[min(19rem,86vw)] bg-sunken"
            onClose={() => setOpen(false)}
          >
            <Sidebar current={sessionId} onGo={go} onClose={() => setOpen(false)} />
          </Sheet>
        )}
        <main className="flex min-w-0 flex-1 flex-col">
          <header className="flex h-14 shrink-0 items-center gap-1 px-2">
            {!open && (
              <>
                <IconButton label="Show conversations" onClick={() => setOpen(true)}>
                  <PanelLeftOpen className="size-5" />
                </IconButton>
                <IconButton label="New chat" onClick={() => go("/")}>
                  <SquarePen className="size-5" />
                </IconButton>
              </>
            )}
            {title && <h1 className="min-w-0 flex-1 truncate px-2 text-sm font-medium text-quiet">{title}</h1>}
            {!open && (
              <div className="ml-auto">
                <StatusDot onGo={go} side="bottom" />
              </div>
            )}
          </header>
          <LostConnection />
          <Reminders onOpen={() => go("/tasks")} />
          {panel ? (
            <Boundary key={panel.group ?? panel.path} instead={<NotLoaded />}>
              <Suspense fallback={<div className="flex-1" role="status" aria-label="Loading" />}>
                <panel.Panel />
              </Suspense>
            </Boundary>
          ) : (
            <ConversationView key={conversation.key} conversation={conversation} />
          )}
        </main>
        {citation && (
          <Boundary key={citation.documentId + citation.chunkId} instead={null}>
            <Suspense>
              <DocumentPanel citation={citation} opener={opener} />
            </Suspense>
          </Boundary>
        )}
      </div>
      <Shortcuts
        onNew={() => go("/")}
        onSearch={() => {
          setOpen(true);
          // After the sidebar is there.
          setTimeout(() => document.querySelector<HTMLElement>("input[aria-label='Search conversations']")?.focus());
        }}
      />
      <Toast />
    </HintProvider>
  );
}

/** A part of the page did not come: there is no network, or Parley was renewed and has other files now. */
function NotLoaded() {
  return (
    <div className="mx-auto w-full max-w-3xl px-4 pt-4 sm:px-6">
      <Notice kind="lost" urgent action={<Button onClick={() => location.reload()}>Reload</Button>}>
        This part of the page can't be loaded. Check your connection, then load the page again.
      </Notice>
    </div>
  );
}

const SIDEBAR_KEY = "parley.sidebar";

/** Whether the sidebar is open. On wide screens the choice is kept; on narrow ones it begins closed. */
function useSidebar(): [boolean, (open: boolean) => void] {
  const [open, setOpen] = useState(() => {
    try {
      return matchMedia(WIDE).matches && localStorage.getItem(SIDEBAR_KEY) !== "closed";
    } catch {
      return true;
    }
  });
  const set = (next: boolean) => {
    setOpen(next);
    try {
      if (matchMedia(WIDE).matches) localStorage.setItem(SIDEBAR_KEY, next ? "open" : "closed");
    } catch {
      // Storage is blocked: the choice lasts until the page is closed.
    }
  };
  return [open, set];
}

/** What was said through other doors shows when the reader comes back to the page. */
function useRefreshOnReturn(sessionId: string | undefined) {
  useEffect(() => {
    const refresh = () => {
      if (document.visibilityState !== "visible") return;
      void sessions.refresh();
      if (sessionId) conversations.refresh(sessionId);
    };
    document.addEventListener("visibilitychange", refresh);
    addEventListener("focus", refresh);
    return () => {
      document.removeEventListener("visibilitychange", refresh);
      removeEventListener("focus", refresh);
    };
  }, [sessionId]);
}
