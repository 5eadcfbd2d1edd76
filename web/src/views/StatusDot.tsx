/** How Parley is: a dot, and a card that says more. */
import { Popover } from "radix-ui";
import { useEffect } from "react";
import { useStore } from "zustand";
import { ServingState } from "@parley/protos/parley/system/v1/system_service_pb";
import { wordsFor } from "../rpc/errors";
import { status as store } from "../state/app";
import { useLayer } from "../parts/layer";

const STATES: Record<ServingState, { words: string; look: string }> = {
  [ServingState.UNSPECIFIED]: { words: "not known yet", look: "bg-line-strong" },
  [ServingState.SERVING]: { words: "answers", look: "bg-good" },
  [ServingState.NOT_SERVING]: { words: "starting or stopping", look: "bg-warn" },
  [ServingState.UNREACHABLE]: { words: "doesn't answer", look: "bg-bad" },
};

const NAMES: Record<string, string> = { chat: "Conversations", inference: "Models", retrieval: "Knowledge base" };

export function StatusDot() {
  const layer = useLayer();
  const { status, error } = useStore(store.store);
  useEffect(() => store.watch(), []);

  const broken = status?.services.filter(({ state }) => state !== ServingState.SERVING) ?? [];
  const overall = error ? ServingState.UNREACHABLE : (status?.state ?? ServingState.UNSPECIFIED);
  const partly = overall === ServingState.SERVING && broken.length > 0;
  const look = partly ? "bg-warn" : STATES[overall].look;
  const headline = error
    ? "Parley can't be reached"
    : !status
      ? "Asking how Parley is…"
      : overall !== ServingState.SERVING
        ? "Parley can't answer right now"
        : partly
          ? "Answers come without the knowledge base"
          : "Everything works";

  return (
    <Popover.Root onOpenChange={(open) => open && void store.ask()}>
      <Popover.Trigger
        aria-label={`Status: ${headline}`}
        className="grid size-9 shrink-0 place-items-center rounded-lg transition-colors hover:bg-hover data-[state=open]:bg-hover"
      >
        <span className={`size-2.5 rounded-full ${look}`} />
      </Popover.Trigger>
      <Popover.Portal container={layer}>
        <Popover.Content
          side="top"
          align="end"
          sideOffset={8}
          collisionPadding={8}
          aria-label="Status"
          className="z-40 w-72 rounded-2xl border border-line bg-raised p-4 text-sm shadow-float outline-none data-[state=open]:animate-rise"
        >
          <div className="flex items-center gap-2.5 font-semibold">
            <span className={`size-2.5 rounded-full ${look}`} aria-hidden="true" />
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
                      <dt>{NAMES[service] ?? service}</dt>
                      <dd className="flex items-center gap-2 text-quiet">
                        {STATES[state]?.words}
                        <span className={`size-2 rounded-full ${STATES[state]?.look}`} aria-hidden="true" />
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
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
