/** How Parley is: a dot, a card that says more, and the way to all of it. */
import { ChevronRight } from "lucide-react";
import { Popover } from "radix-ui";
import { useEffect } from "react";
import { useStore } from "zustand";
import { wordsFor } from "../rpc/errors";
import { status as store } from "../state/app";
import { HealthDot } from "../parts/HealthDot";
import { useLayer } from "../parts/layer";
import { overall, SERVICE_NAMES, STATES } from "../text/status";

export function StatusDot({ onGo, side }: { onGo: (path: string) => void; side: "top" | "bottom" }) {
  const layer = useLayer();
  const { status, error } = useStore(store.store);
  useEffect(() => store.watch(), []);
  const { words: headline, health } = overall(status, error);

  return (
    <Popover.Root onOpenChange={(open) => open && void store.ask()}>
      <Popover.Trigger
        aria-label={`Status: ${headline}`}
        className="grid size-9 shrink-0 place-items-center rounded-lg transition-colors hover:bg-hover data-[state=open]:bg-hover"
      >
        <HealthDot health={health} className="size-2.5" />
      </Popover.Trigger>
      <Popover.Portal container={layer}>
        <Popover.Content
          side={side}
          align="end"
          sideOffset={8}
          collisionPadding={8}
          aria-label="Status"
          className="z-40 w-72 rounded-2xl border border-line bg-raised p-4 text-sm shadow-float outline-none data-[state=open]:animate-rise"
        >
          <div className="flex items-center gap-2.5 font-semibold">
            <HealthDot health={health} className="size-2.5" />
            {headline}
          </div>
          {error ? (
            <p className="mt-2 text-quiet">{wordsFor(error)}</p>
          ) : (
            status && (
              <>
                <dl className="mt-3 space-y-1.5">
                  {status.services.map(({ service, state }) => (
                    <div key={service} className="flex items-center justify-between gap-3">
                      <dt>{SERVICE_NAMES[service] ?? service}</dt>
                      <dd className="flex items-center gap-2 text-quiet">
                        {STATES[state].words}
                        <HealthDot health={STATES[state].health} />
                      </dd>
                    </div>
                  ))}
                </dl>
                <div className="mt-3 border-t border-line pt-3 text-quiet">
                  {status.offline ? (
                    <>
                      <span className="font-medium text-ink">The offline model answers.</span> It quotes the knowledge base word for word. Configure a provider for
                      answers in its own words.
                    </>
                  ) : (
                    status.defaultModel && (
                      <>
                        Model <span className="font-medium break-all text-ink">{status.defaultModel}</span>
                      </>
                    )
                  )}
                </div>
              </>
            )
          )}
          <Popover.Close asChild>
            <a
              href="/system"
              onClick={(event) => {
                if (event.metaKey || event.ctrlKey || event.shiftKey) return;
                event.preventDefault();
                onGo("/system");
              }}
              className="-mx-2 mt-2 -mb-2 flex items-center justify-between rounded-lg px-2 py-1.5 font-medium text-accent transition-colors hover:bg-hover"
            >
              All about the system
              <ChevronRight className="size-4" aria-hidden="true" />
            </a>
          </Popover.Close>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
