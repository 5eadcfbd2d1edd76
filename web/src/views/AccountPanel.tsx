/** The user's own account: who it is, personal access tokens, and what was done with it lately. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Plus, TriangleAlert } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useStore } from "zustand";
import type { AuditEvent } from "@parley/protos/parley/identity/v1/audit_event_pb";
import type { AccessToken } from "@parley/protos/parley/identity/v1/user_pb";
import { Button } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { Notice } from "../parts/Notice";
import { wordsFor } from "../rpc/errors";
import { useSignIn } from "../state/account";
import { account as store } from "../state/accountViewOfPage";
import { tell } from "../state/app";
import { clientWords, deedWords, isAlarming, tokenState } from "../text/account";
import { count, moment } from "../text/figures";
import { when } from "../text/tasks";
import { TokenForm } from "./TokenForm";

export function AccountPanel() {
  const user = useSignIn()?.user;
  const { tokens, events, moreEvents, scopes, error } = useStore(store.store);
  useEffect(() => void store.refresh(), []);
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto w-full max-w-3xl px-4 pt-4 pb-12 sm:px-6">
        <h1 className="mb-1 font-serif text-[1.9rem] leading-tight tracking-[-0.015em]">Account</h1>
        <p className="mb-6 break-words text-quiet">{[user?.displayName, user?.email].filter(Boolean).join(" · ")}</p>
        {error && (
          <div className="mb-4">
            <Notice kind="bad" action={<Button onClick={() => void store.refresh()}>Try again</Button>}>
              {wordsFor(error)}
            </Notice>
          </div>
        )}
        {!tokens && !error && <div className="h-28 animate-breathe rounded-2xl bg-hover" role="status" aria-label="Loading" />}
        {tokens && <Tokens tokens={tokens} scopes={scopes} />}
        {events && <Activity events={events} tokens={tokens ?? []} hasMore={moreEvents !== ""} />}
      </div>
    </div>
  );
}

function Tokens({ tokens, scopes }: { tokens: readonly AccessToken[]; scopes: readonly string[] }) {
  const [making, setMaking] = useState(false);
  const [all, setAll] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const now = new Date();
  const good = tokens.filter((token) => tokenState(token, now).good);
  const shown = all ? tokens : good;
  return (
    <section aria-labelledby="tokens">
      <div className="mb-3 flex min-h-9 flex-wrap items-center gap-3">
        <h2 id="tokens" ref={heading} tabIndex={-1} className="flex-1 font-medium outline-none">
          Access tokens
        </h2>
        {!making && (
          <Button onClick={() => setMaking(true)}>
            <Plus className="size-4" aria-hidden="true" />
            Make a token
          </Button>
        )}
      </div>
      {making && (
        <TokenForm
          scopes={scopes}
          onClose={() => {
            setMaking(false);
            heading.current?.focus();
          }}
        />
      )}
      {shown.length === 0 ? (
        !making && <p className="text-sm text-pretty text-quiet">None. With a token, programs of yours and the command line use Parley as you, for as long and for as much as you say.</p>
      ) : (
        <ul aria-label="Your access tokens" className="divide-y divide-line rounded-2xl border border-line bg-raised">
          {shown.map((token) => (
            <Token key={token.accessTokenId} token={token} onGone={() => heading.current?.focus()} />
          ))}
        </ul>
      )}
      {tokens.length > good.length && (
        <button type="button" aria-expanded={all} onClick={() => setAll(!all)} className="mt-2 rounded-md text-sm text-quiet transition-colors hover:text-ink">
          {all ? "Only those that are good" : `Also ${count(tokens.length - good.length)} that ended or were revoked`}
        </button>
      )}
    </section>
  );
}

function Token({ token, onGone }: { token: AccessToken; onGone: () => void }) {
  const [revoking, setRevoking] = useState(false);
  const { good, words } = tokenState(token, new Date());
  const made = token.createTime && `made ${moment(timestampDate(token.createTime), new Date())}`;
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5 text-sm">
      <div className="min-w-0 flex-1 basis-48">
        <h3 className={`font-medium break-words ${good ? "" : "text-quiet"}`}>{token.name}</h3>
        <p className="text-xs text-quiet">{[words, made].filter(Boolean).join(" · ")}</p>
        <p className="mt-0.5 font-mono text-[0.6875rem] break-words text-quiet">{token.scopes.join(" ")}</p>
      </div>
      {good && (
        <Button aria-label={`Revoke ${token.name}`} onClick={() => setRevoking(true)}>
          Revoke
        </Button>
      )}
      {revoking && (
        <Confirm
          title="Revoke this token?"
          yes="Revoke"
          onClose={() => setRevoking(false)}
          onYes={() => {
            store
              .revoke(token.accessTokenId)
              .then(onGone)
              .catch((error: unknown) => tell(wordsFor(error)));
          }}
        >
          What uses “{token.name}” is refused from now on. This can’t be taken back.
        </Confirm>
      )}
    </li>
  );
}

function Activity({ events, tokens, hasMore }: { events: readonly AuditEvent[]; tokens: readonly AccessToken[]; hasMore: boolean }) {
  return (
    <section aria-labelledby="activity" className="mt-9">
      <h2 id="activity" className="mb-3 font-medium">
        Recent activity
      </h2>
      {events.length === 0 ? (
        <p className="text-sm text-quiet">Nothing yet.</p>
      ) : (
        <ul aria-label="Recent activity" className="divide-y divide-line rounded-2xl border border-line bg-raised">
          {events.map((event) => (
            <Deed key={event.auditEventId} event={event} tokens={tokens} />
          ))}
        </ul>
      )}
      {hasMore && (
        <Button className="mt-3" onClick={() => store.readMore().catch((error: unknown) => tell(wordsFor(error)))}>
          Show older
        </Button>
      )}
    </section>
  );
}

function Deed({ event, tokens }: { event: AuditEvent; tokens: readonly AccessToken[] }) {
  const time = event.lastTime ?? event.createTime;
  const told = [time && when(timestampDate(time), new Date()), clientWords(event.userAgent), event.clientAddress];
  return (
    <li className="flex items-start gap-3 px-4 py-2.5 text-sm">
      <div className="min-w-0 flex-1">
        <p className="break-words">
          {deedWords(event, tokens)}
          {event.count > 1n && <span className="text-quiet tabular-nums"> · {count(Number(event.count))} times</span>}
        </p>
        <p className="text-xs break-words text-quiet">{told.filter(Boolean).join(" · ")}</p>
      </div>
      {isAlarming(event) && <TriangleAlert className="mt-0.5 size-4 shrink-0 text-warn" aria-label="Look at this" />}
    </li>
  );
}
