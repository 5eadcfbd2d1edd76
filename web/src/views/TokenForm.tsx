/** Makes a personal access token, and shows it this once. */
import { useId, useRef, useState, type FormEvent } from "react";
import { Button, CopyButton } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { wordsFor } from "../rpc/errors";
import { account as store } from "../state/accountViewOfPage";

const LIVES = [
  [7, "a week"],
  [30, "30 days"],
  [90, "90 days"],
  [366, "a year"],
] as const;

const FIELD = "mt-1 block w-full rounded-lg border border-line-strong bg-ground px-3 py-2 text-sm";

export function TokenForm({ scopes, onClose }: { scopes: readonly string[]; onClose: () => void }) {
  const id = useId();
  const [name, setName] = useState("");
  const [days, setDays] = useState(90);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => new Set(scopes));
  const [error, setError] = useState<unknown>();
  const [token, setToken] = useState<string>();
  const making = useRef(false);

  const make = async (event: FormEvent) => {
    event.preventDefault();
    if (making.current) return;
    making.current = true;
    setError(undefined);
    try {
      setToken(await store.create({ name: name.trim(), scopes: scopes.filter((scope) => chosen.has(scope)), days }));
    } catch (thrown) {
      setError(thrown);
    } finally {
      making.current = false;
    }
  };

  if (token) {
    return (
      <div className="mb-3 rounded-2xl border border-line bg-raised p-4 text-sm" role="status">
        <p className="font-medium">Copy the token now: it is shown this once.</p>
        <div className="mt-2 flex items-start gap-2">
          <code data-testid="token" className="min-w-0 flex-1 rounded-lg bg-sunken px-3 py-2 font-mono text-xs break-all">
            {token}
          </code>
          <CopyButton label="Copy the token" text={() => token} />
        </div>
        <Button className="mt-3" onClick={onClose}>
          Done
        </Button>
      </div>
    );
  }
  return (
    <form onSubmit={(event) => void make(event)} aria-label="New token" className="mb-3 space-y-4 rounded-2xl border border-line bg-raised p-4 text-sm">
      {error !== undefined && (
        <Notice kind="bad" urgent>
          {wordsFor(error)}
        </Notice>
      )}
      <div className="grid gap-4 sm:grid-cols-[1fr_10rem]">
        <label htmlFor={`${id}-name`}>
          <span className="font-medium">What it is for</span>
          <input id={`${id}-name`} value={name} onChange={(event) => setName(event.target.value)} required maxLength={100} autoFocus autoComplete="off" className={FIELD} />
        </label>
        <label htmlFor={`${id}-days`}>
          <span className="font-medium">Good for</span>
          <select id={`${id}-days`} value={days} onChange={(event) => setDays(Number(event.target.value))} className={FIELD}>
            {LIVES.map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
        </label>
      </div>
      <fieldset>
        <legend className="font-medium">What it may do</legend>
        <div className="mt-1.5 flex gap-2">
          <Button onClick={() => setChosen(new Set(scopes))}>All</Button>
          <Button onClick={() => setChosen(new Set(scopes.filter((scope) => scope.endsWith(":read"))))}>Only read</Button>
          <Button onClick={() => setChosen(new Set())}>None</Button>
        </div>
        <div className="mt-2 grid grid-cols-2 gap-x-4 gap-y-1 sm:grid-cols-3">
          {scopes.map((scope) => (
            <label key={scope} className="flex min-h-7 items-center gap-2 font-mono text-xs">
              <input
                type="checkbox"
                checked={chosen.has(scope)}
                onChange={() => {
                  const next = new Set(chosen);
                  if (!next.delete(scope)) next.add(scope);
                  setChosen(next);
                }}
                className="accent-accent"
              />
              <span className="min-w-0 break-words">{scope}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <div className="flex gap-2">
        <Button type="submit" look="accent" disabled={!name.trim() || chosen.size === 0}>
          Make the token
        </Button>
        <Button onClick={onClose}>Cancel</Button>
      </div>
    </form>
  );
}
