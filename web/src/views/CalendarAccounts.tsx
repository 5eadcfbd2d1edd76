/** The calendars of other places: how each is, and the way to connect one. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { CalendarSync, CircleCheck, LoaderCircle, Plus, RefreshCw, Trash2, TriangleAlert } from "lucide-react";
import { useRef, useState } from "react";
import { useStore } from "zustand";
import { CalendarAccountKind, CalendarAccountState, type CalendarAccount } from "@parley/protos/parley/workspace/v1/calendar_pb";
import { Button, IconButton } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { wordsFor, wordsForField } from "../rpc/errors";
import { tell } from "../state/app";
import { calendar as store } from "../state/calendarOfPage";
import { count } from "../text/figures";
import { when } from "../text/tasks";
import { FIELD, Labelled } from "./TaskForm";

export function CalendarAccounts() {
  const accounts = useStore(store.store, (state) => state.accounts);
  const [connecting, setConnecting] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const focus = () => heading.current?.focus();
  return (
    <section aria-labelledby="accounts" className="mt-8">
      <div className="mb-2 flex flex-wrap items-center gap-3">
        <h2 id="accounts" ref={heading} tabIndex={-1} className="flex-1 font-medium outline-none">
          Calendars of other places
        </h2>
        {!connecting && (
          <Button onClick={() => setConnecting(true)}>
            <Plus className="size-4" aria-hidden="true" />
            Connect a calendar
          </Button>
        )}
      </div>
      {connecting && (
        <ConnectForm
          onClose={() => {
            setConnecting(false);
            focus();
          }}
        />
      )}
      {accounts.length === 0 && !connecting && (
        <p className="text-sm text-pretty text-quiet">
          Connect a calendar by the address that its program gives you (an iCalendar or “ICS” address), or an account of a CalDAV server. It is read again
          and again, and the assistant knows your meetings.
        </p>
      )}
      <ul aria-label="Connected calendars" className="space-y-2">
        {accounts.map((account) => (
          <Account key={account.accountId} account={account} onGone={focus} />
        ))}
      </ul>
    </section>
  );
}

function Account({ account, onGone }: { account: CalendarAccount; onGone: () => void }) {
  const [working, setWorking] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const { accountId, name, host, state, error, warnings, eventCount, lastSuccessTime, syncing } = account;
  const busy = working || syncing || state === CalendarAccountState.PENDING;
  const failed = state === CalendarAccountState.FAILED;
  return (
    <li className="flex items-start gap-3 rounded-xl border border-line bg-raised px-3.5 py-2.5 text-sm">
      {busy ? (
        <LoaderCircle className="mt-0.5 size-4 shrink-0 animate-spin text-quiet motion-reduce:animate-none" aria-hidden="true" />
      ) : failed ? (
        <TriangleAlert className="mt-0.5 size-4 shrink-0 text-warn" aria-hidden="true" />
      ) : (
        <CircleCheck className="mt-0.5 size-4 shrink-0 text-good" aria-hidden="true" />
      )}
      <div className="min-w-0 flex-1">
        <p className="font-medium break-words">{name}</p>
        <p className="text-xs text-quiet">
          {[
            name === host ? "" : host,
            `${count(eventCount)} ${eventCount === 1 ? "event" : "events"}`,
            busy ? "is being read…" : lastSuccessTime ? `read ${when(timestampDate(lastSuccessTime), new Date())}` : "",
          ]
            .filter(Boolean)
            .join(" · ")}
        </p>
        {failed && error && <p className="mt-1 text-xs text-bad">{error}</p>}
        {warnings.length > 0 && (
          <ul className="mt-1 text-xs text-quiet">
            {warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        )}
      </div>
      <div className="-mr-1.5 flex">
        <IconButton
          small
          disabled={busy}
          label={`Read ${name} now`}
          onClick={() => {
            setWorking(true);
            store
              .sync(accountId)
              .catch((thrown: unknown) => tell(wordsFor(thrown)))
              .finally(() => setWorking(false));
          }}
        >
          <RefreshCw className="size-4" />
        </IconButton>
        <IconButton small label={`Take ${name} away`} onClick={() => setDeleting(true)}>
          <Trash2 className="size-4" />
        </IconButton>
      </div>
      {deleting && (
        <Confirm
          title="Take this calendar away?"
          yes="Take away"
          onClose={() => setDeleting(false)}
          onYes={() => {
            store
              .disconnect(accountId)
              .then(onGone)
              .catch((thrown: unknown) => tell(wordsFor(thrown)));
          }}
        >
          Its meetings are no longer shown here. Nothing changes in “{name}” itself.
        </Confirm>
      )}
    </li>
  );
}

const FIELDS = ["url", "name", "username", "password"] as const;

function ConnectForm({ onClose }: { onClose: () => void }) {
  const [kind, setKind] = useState(CalendarAccountKind.FEED);
  const [fields, setFields] = useState({ url: "", name: "", username: "", password: "" });
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  const caldav = kind === CalendarAccountKind.CALDAV;
  const set = (change: Partial<typeof fields>) => setFields({ ...fields, ...change });
  const elsewhere = error !== undefined && !FIELDS.some((field) => wordsForField(error, field));
  return (
    <form
      aria-label="Connect a calendar"
      className="mb-3 animate-rise space-y-4 rounded-2xl border border-line bg-raised p-4"
      onKeyDown={(event) => event.key === "Escape" && onClose()}
      onSubmit={(event) => {
        event.preventDefault();
        if (working) return;
        setWorking(true);
        store
          .connect({ kind, ...fields, url: fields.url.trim(), ...(caldav ? {} : { username: "", password: "" }) })
          .then(onClose)
          .catch((thrown: unknown) => {
            setError(thrown);
            setWorking(false);
          });
      }}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <Labelled name="What it is">
          {(props) => (
            <select {...props} value={kind} onChange={({ target }) => setKind(Number(target.value))} className={`${FIELD} w-full`}>
              <option value={CalendarAccountKind.FEED}>An address (iCalendar)</option>
              <option value={CalendarAccountKind.CALDAV}>An account (CalDAV)</option>
            </select>
          )}
        </Labelled>
        <Labelled name="Name, if you like" error={wordsForField(error, "name")}>
          {(props) => <input {...props} maxLength={100} value={fields.name} onChange={({ target }) => set({ name: target.value })} className={`${FIELD} w-full`} />}
        </Labelled>
      </div>
      <Labelled name="Address" error={wordsForField(error, "url")}>
        {(props) => (
          <input
            {...props}
            autoFocus
            required
            inputMode="url"
            maxLength={2000}
            placeholder={caldav ? "https://caldav.example.com" : "https://calendar.example.com/…/basic.ics"}
            value={fields.url}
            onChange={({ target }) => set({ url: target.value })}
            className={`${FIELD} w-full`}
          />
        )}
      </Labelled>
      {caldav && (
        <div className="grid gap-4 sm:grid-cols-2">
          <Labelled name="User name" error={wordsForField(error, "username")}>
            {(props) => (
              <input {...props} required autoComplete="off" maxLength={200} value={fields.username} onChange={({ target }) => set({ username: target.value })} className={`${FIELD} w-full`} />
            )}
          </Labelled>
          <Labelled name="Password, best one for this alone" error={wordsForField(error, "password")}>
            {(props) => (
              <input {...props} required type="password" autoComplete="new-password" maxLength={500} value={fields.password} onChange={({ target }) => set({ password: target.value })} className={`${FIELD} w-full`} />
            )}
          </Labelled>
        </div>
      )}
      <p role="alert" className="text-sm text-bad empty:hidden">
        {elsewhere ? wordsFor(error) : ""}
      </p>
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button look="accent" type="submit" disabled={working || !fields.url.trim()}>
          <CalendarSync className="size-4" aria-hidden="true" />
          Connect
        </Button>
      </div>
    </form>
  );
}
