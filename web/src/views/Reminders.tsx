/** Reminders whose time has come, above what is on the screen: each stays until its reader has done something about it. */
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
    // Always there, so that what comes into it is read out. Above what is shown and not over it: nothing is hidden by it.
    <section aria-label="Reminders" aria-live="polite" className="mx-auto w-full max-w-3xl shrink-0 space-y-2 px-3 not-empty:pb-2 sm:px-6">
      {shown.map((reminder) => (
        <Card key={reminder.sequence} reminder={reminder} now={now} onOpen={onOpen} />
      ))}
      {(askable || reminders.length > most) && reminders.length > 0 && (
        <p className="flex flex-wrap items-center justify-end gap-3 text-xs text-quiet">
          {reminders.length > most && <span>{reminders.length - most} more</span>}
          {askable && (
            <Button
              className="min-h-7 px-2.5 py-0.5 text-xs"
              onClick={() => void wantNotifications().finally(() => setAskable(canAskToNotify()))}
            >
              Notify me outside this page
            </Button>
          )}
        </p>
      )}
    </section>
  );
}

function Card({ reminder: { sequence, task }, now, onOpen }: { reminder: Reminder; now: Date; onOpen: () => void }) {
  const [working, setWorking] = useState(false);
  return (
    <article
      aria-label={`Reminder: ${task.title}`}
      className="flex animate-rise flex-wrap items-center gap-x-3 gap-y-2 rounded-xl border border-line bg-raised py-2 pr-2 pl-3.5 shadow-low"
    >
      <BellRing className="size-4.5 shrink-0 text-accent" aria-hidden="true" />
      <div className="min-w-40 flex-1">
        <h2 className="text-sm font-medium break-words">{task.title}</h2>
        <p className="text-xs text-quiet">{dueWords(task, now)}</p>
      </div>
      <div className="ml-auto flex items-center gap-1.5">
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
        <Button className="min-h-8 px-3 py-1" onClick={onOpen}>
          Open
        </Button>
        <IconButton small label={`Dismiss the reminder of ${task.title}`} onClick={() => store.dismiss(sequence)}>
          <X className="size-4" />
        </IconButton>
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
