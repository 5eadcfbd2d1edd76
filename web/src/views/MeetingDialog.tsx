/** All that is known of a meeting. The browser's own dialog: it holds the focus and ends with Escape. */
import { useEffect, useRef, useState, type ReactNode } from "react";
import { EventStatus, type Attendee, type Meeting } from "@parley/protos/parley/workspace/v1/calendar_pb";
import { Button } from "../parts/buttons";
import { wordsFor } from "../rpc/errors";
import { calendar as store } from "../state/calendarOfPage";
import { dayName, isWebLink, spanOf, spanWords } from "../text/calendar";

const RESPONSES: Readonly<Record<string, string>> = { accepted: "comes", declined: "does not come", tentative: "comes perhaps", "needs-action": "has not answered" };

export function MeetingDialog({ meeting, onClose, onGone }: { meeting: Meeting; onClose: () => void; onGone: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [deleting, setDeleting] = useState(false);
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => dialog.current?.showModal(), []);
  const { title, location, description, url, attendees, organizer, status, readOnly, recurring } = meeting;
  const remove = (wholeSeries: boolean) => {
    setWorking(true);
    store
      .remove(meeting, wholeSeries || !recurring)
      .then(() => {
        dialog.current?.close();
        onGone();
      })
      .catch((thrown: unknown) => {
        setError(thrown);
        setWorking(false);
      });
  };
  return (
    <dialog
      ref={dialog}
      aria-labelledby="meeting-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
      className="m-auto max-h-[85dvh] w-[min(30rem,calc(100vw-2rem))] overflow-y-auto rounded-2xl border border-line bg-raised p-0 text-ink shadow-float open:animate-rise"
    >
      <div className="p-5">
        <h2 id="meeting-title" className="text-lg font-semibold break-words">
          {title || "Without a title"}
        </h2>
        <p className="text-sm text-quiet">
          {dayName(spanOf(meeting).start)}, {spanWords(meeting)}
          {recurring ? " · repeats" : ""}
          {status === EventStatus.TENTATIVE ? " · not certain" : ""}
          {status === EventStatus.CANCELLED ? " · cancelled" : ""}
        </p>
        <dl className="mt-4 space-y-3 text-sm">
          {location && <Part name="Where">{isWebLink(location) ? <Link url={location} /> : location}</Part>}
          {url && url !== location && <Part name="Link">{isWebLink(url) ? <Link url={url} /> : url}</Part>}
          {organizer && <Part name="Called by">{nameOf(organizer)}</Part>}
          {attendees.length > 0 && (
            <Part name="Who">
              <ul>
                {attendees.map((attendee, index) => (
                  <li key={index}>
                    {nameOf(attendee)}
                    {RESPONSES[attendee.response] && <span className="text-quiet">, {RESPONSES[attendee.response]}</span>}
                  </li>
                ))}
              </ul>
            </Part>
          )}
          {description && (
            <Part name="About">
              <p className="max-h-60 overflow-y-auto whitespace-pre-wrap">{description}</p>
            </Part>
          )}
        </dl>
        <p role="alert" className="mt-3 text-sm text-bad empty:hidden">
          {error === undefined ? "" : wordsFor(error)}
        </p>
        <div className="mt-5 flex flex-wrap justify-end gap-2">
          {!readOnly && !deleting && (
            <Button className="mr-auto text-bad" onClick={() => setDeleting(true)}>
              Delete…
            </Button>
          )}
          {deleting && (
            <>
              <Button look="danger" disabled={working} onClick={() => remove(false)}>
                {recurring ? "Delete this one" : "Delete for good"}
              </Button>
              {recurring && (
                <Button look="danger" disabled={working} onClick={() => remove(true)}>
                  Delete all of them
                </Button>
              )}
            </>
          )}
          <Button onClick={() => dialog.current?.close()} autoFocus>
            Close
          </Button>
        </div>
      </div>
    </dialog>
  );
}

function Part({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-xs font-medium text-quiet">{name}</dt>
      <dd className="break-words">{children}</dd>
    </div>
  );
}

function Link({ url }: { url: string }) {
  return (
    <a href={url} target="_blank" rel="noopener noreferrer nofollow" className="break-all text-accent underline underline-offset-2">
      {url}
    </a>
  );
}

function nameOf({ name, email }: Attendee): string {
  return name || email || "somebody";
}
