/** What Parley tells and makes beside conversations, each under a tab: its path names it, and it comes when it is first looked at. */
import { lazy, Suspense, useEffect, useRef, type LazyExoticComponent, type ReactNode } from "react";
import { useLocation } from "wouter";
import { Boundary } from "../parts/Boundary";
import { Button } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { INSIGHTS, type InsightsPath } from "../text/insights";

const PANELS: Record<InsightsPath, LazyExoticComponent<() => ReactNode>> = {
  "/usage": lazy(() => import("./UsagePanel").then((module) => ({ default: module.UsagePanel }))),
  "/leads": lazy(() => import("./Leads").then((module) => ({ default: module.Leads }))),
  "/content": lazy(() => import("./Content").then((module) => ({ default: module.Content }))),
  "/recommendations": lazy(() => import("./Recommendations").then((module) => ({ default: module.Recommendations }))),
  "/batches": lazy(() => import("./Batches").then((module) => ({ default: module.Batches }))),
};
const TABS = INSIGHTS.map((tab) => ({ ...tab, Panel: PANELS[tab.path] }));

export function Insights() {
  const [location, setLocation] = useLocation();
  const strip = useRef<HTMLUListElement>(null);
  const tab = TABS.find(({ path }) => path === location);
  useEffect(() => {
    // On a phone the strip is wider than the screen.
    const current = strip.current?.querySelector<HTMLElement>("[aria-current]");
    if (current && strip.current) strip.current.scrollLeft = current.offsetLeft - 24;
  }, [tab]);
  return (
    // What is out of sight for screen readers is placed within this, or it would make the whole page scroll.
    <div className="relative min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto w-full max-w-4xl px-4 pb-12 sm:px-6">
        <nav aria-label="Insights" className="sticky top-0 z-10 -mx-4 bg-ground px-4 sm:-mx-6 sm:px-6">
          <ul ref={strip} className="relative flex gap-1 overflow-x-auto border-b border-line pt-1">
            {TABS.map(({ path, name }) => (
              <li key={path} className="shrink-0">
                <a
                  href={path}
                  aria-current={path === tab?.path ? "page" : undefined}
                  onClick={(event) => {
                    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
                    event.preventDefault();
                    setLocation(path);
                  }}
                  className="relative block rounded-t-lg px-3 py-2 text-sm text-quiet transition-colors -outline-offset-2 hover:bg-hover hover:text-ink aria-[current]:font-medium aria-[current]:text-ink aria-[current]:after:absolute aria-[current]:after:inset-x-2 aria-[current]:after:bottom-0 aria-[current]:after:h-0.5 aria-[current]:after:rounded-full aria-[current]:after:bg-accent"
                >
                  {name}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        {tab && (
          <Boundary key={tab.path} instead={<NotLoaded />}>
            <Suspense fallback={<div className="h-40" role="status" aria-label="Loading" />}>
              <div className="pt-6">
                <tab.Panel />
              </div>
            </Suspense>
          </Boundary>
        )}
      </div>
    </div>
  );
}

function NotLoaded() {
  return (
    <div className="pt-6">
      <Notice kind="lost" urgent action={<Button onClick={() => location.reload()}>Reload</Button>}>
        This part of the page can't be loaded. Check your connection, then load the page again.
      </Notice>
    </div>
  );
}
