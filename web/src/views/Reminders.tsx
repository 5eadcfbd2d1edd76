/** Reminders whose time has come, at the edge of the page: each stays until its reader has done something about it. */
import { BellRing, X } from "lucide-react";
import { useEffect, useState } from "react";
import { useStore } from "zustand";
import { Button, IconButton } from "../parts/buttons";
import { wordsFor } from "../rpc/errors";
import { navigation, reminders as store, tasks, tell } from "../state/app";
import { canAskToNotify, notify, wantNotifications } from "../state/notifications";
import type { Reminder } from "../state/reminders";
import { useMedia } from "../parts/Sheet";
import { dueWords } from "../text/tasks";

/** How many are shown at once, where there is room and where there is not; the others wait behind them. */
const SHOWN = 3;
const SHOWN_ON_PHONES = 1;

export function Reminders({ onOpen }: { onOpen: () => void }) {
  const { reminders } = useStore(store.store);
  const [askable, setAskable] = useState(canAskToNotify);
  const now = useMinutes(reminders.length > 0);
  useEffect(() => {
    store.onReminder = ({ sequence, task }) => notify(`reminder-${sequence}`, task.title, dueWords(task, new Date()) ?? "", () => navigation.go("/tasks"));
    const reread = (event: StorageEvent) => event.key === store.key && store.reread();
    addEventListener("storage", reread);
    return () => {
      store.onReminder = undefined;
      removeEventListener("storage", reread);
    };
  }, []);
  const most = useMedia("(min-width: 640px)") ? SHOWN : SHOWN_ON_PHONES;
  const shown = reminders.slice(0, most);
  return (
    // Always there, so that what comes into it is read out.
    <section
      aria-label="Reminders"
      aria-live="polite"
      className="pointer-events-none fixed inset-x-3 top-16 z-40 flex flex-col items-end gap-2 sm:inset-x-auto sm:right-4 sm:w-96"
    >
      {shown.map((reminder) => (
        <Card key={reminder.sequence} reminder={reminder} now={now} onOpen={onOpen} />
      ))}
      {reminders.length > 0 && (
        <p className="pointer-events-auto flex flex-wrap items-center justify-end gap-2 text-xs">
          {askable && (
            <Button
              className="min-h-7 px-2.5 py-0.5 text-xs shadow-float"
              onClick={() => void wantNotifications().finally(() => setAskable(canAskToNotify()))}
            >
              Notify me outside this page
            </Button>
          )}
          {reminders.length > most && <span className="rounded-lg bg-raised px-2.5 py-1 text-quiet shadow-float">{reminders.length - most} more</span>}
        </p>
      )}
    </section>
  );
}

function Card({ reminder: { sequence, task }, now, onOpen }: { reminder: Reminder; now: Date; onOpen: () => void }) {
  const [working, setWorking] = useState(false);
  return (
    <article aria-label={`Reminder: ${task.title}`} className="pointer-events-auto w-full animate-rise rounded-2xl border border-line bg-raised p-3.5 shadow-float">
      <div className="flex items-start gap-3">
        <BellRing className="mt-0.5 size-4.5 shrink-0 text-accent" aria-hidden="true" />
        <div className="min-w-0 flex-1">
          <h2 className="text-sm font-medium break-words">{task.title}</h2>
          <p className="text-xs text-quiet">{dueWords(task, now)}</p>
        </div>
        <IconButton small label={`Dismiss the reminder of ${task.title}`} className="-mt-1 -mr-1" onClick={() => store.dismiss(sequence)}>
          <X className="size-4" />
        </IconButton>
      </div>
      <div className="mt-2.5 flex justify-end gap-2">
        <Button className="min-h-8 px-3 py-1" onClick={onOpen}>
          Open
        </Button>
        <Button
          look="accent"
          className="min-h-8 px-3 py-1"
          disabled={working}
          onClick={() => {
            setWorking(true);
            tasks
              .complete(task)
              .then(() => store.dismiss(sequence))
              .catch((error: unknown) => tell(wordsFor(error)))
              .finally(() => setWorking(false));
          }}
        >
          Done
        </Button>
      </div>
    </article>
  );
}

/** The time, now and at the beginning of each minute, while it is wanted. */
export function useMinutes(wanted: boolean): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    if (!wanted) return;
    setNow(new Date());
    const timer = setInterval(() => setNow(new Date()), 30_000);
    return () => clearInterval(timer);
  }, [wanted]);
  return now;
}
