/** Signing in and signing up, on one card. */
import { LoaderCircle } from "lucide-react";
import { useId, useRef, useState, type ComponentProps, type SubmitEvent } from "react";
import { ErrorReason, toParleyError, type ParleyError } from "@parley/client";
import { Button } from "../parts/buttons";
import { Mark } from "../parts/Mark";
import { Notice } from "../parts/Notice";
import { wordsFor, wordsForField } from "../rpc/errors";
import { parley } from "../rpc/parley";

type Way = "in" | "up";

const FIELDS = ["email", "password", "display_name"];

export function SignInPage() {
  const [way, setWay] = useState<Way>("in");
  const [error, setError] = useState<ParleyError>();
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);

  const submit = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = new FormData(event.currentTarget);
    const value = (name: string) => String(values.get(name) ?? "");
    const account = { email: value("email").trim(), password: value("password") };
    setBusy(true);
    setError(undefined);
    try {
      if (way === "in") await parley.signIn(account);
      else await parley.signUp({ ...account, displayName: value("display_name").trim() });
    } catch (thrown) {
      const failed = toParleyError(thrown);
      setError(failed);
      setBusy(false);
      const field = FIELDS.find((name) => wordsForField(failed, name) !== undefined) ?? "password";
      form.current?.querySelector<HTMLInputElement>(`[name="${field}"]`)?.focus();
    }
  };

  const turn = (to: Way) => {
    setWay(to);
    setError(undefined);
  };

  const besideField = FIELDS.some((name) => wordsForField(error, name) !== undefined);
  return (
    <main className="flex h-full flex-col overflow-y-auto px-4">
      <div className="m-auto w-full max-w-[25rem] py-10">
        <div className="mb-8 flex flex-col items-center gap-4 text-center">
          <Mark className="size-12" />
          <div>
            <h1 className="font-serif text-[2rem] leading-tight tracking-[-0.015em]">{way === "in" ? "Welcome back" : "Welcome to Parley"}</h1>
            <p className="mt-1 text-quiet">{way === "in" ? "Sign in to go on with your conversations." : "Make an account and ask your first question."}</p>
          </div>
        </div>
        <form ref={form} noValidate onSubmit={(event) => void submit(event)} className="rounded-2xl border border-line bg-raised p-6 shadow-low">
          <div className="space-y-4">
            {way === "up" && (
              <Field label="Name" optional name="display_name" autoComplete="name" maxLength={100} error={wordsForField(error, "display_name")} />
            )}
            <Field
              label="E-mail address"
              name="email"
              type="email"
              autoComplete="username"
              maxLength={254}
              autoFocus
              error={wordsForField(error, "email")}
            />
            <Field
              label="Password"
              name="password"
              type="password"
              autoComplete={way === "in" ? "current-password" : "new-password"}
              maxLength={256}
              hint={way === "up" ? "At least 8 characters." : undefined}
              error={wordsForField(error, "password")}
            />
            {error && !besideField && (
              <Notice kind="bad" urgent>
                {wordsFor(error)}
              </Notice>
            )}
            <Button look="accent" type="submit" disabled={busy} className="min-h-10 w-full">
              {busy && <LoaderCircle className="size-4 animate-spin" aria-hidden="true" />}
              {way === "in" ? "Sign in" : "Create account"}
            </Button>
          </div>
        </form>
        <p className="mt-5 text-center text-sm text-quiet">
          {way === "in" ? "No account yet?" : "You have an account?"}{" "}
          <button
            type="button"
            onClick={() => turn(way === "in" ? "up" : "in")}
            className={`font-medium text-accent underline underline-offset-3 hover:text-accent-hover ${error?.reason === ErrorReason.EMAIL_TAKEN ? "decoration-2" : ""}`}
          >
            {way === "in" ? "Create one" : "Sign in"}
          </button>
        </p>
      </div>
    </main>
  );
}

type FieldProps = ComponentProps<"input"> & { label: string; optional?: boolean; hint?: string | undefined; error?: string | undefined };

function Field({ label, optional, hint, error, ...input }: FieldProps) {
  const id = useId();
  const words = error ?? hint;
  return (
    <div>
      <label htmlFor={id} className="mb-1.5 flex justify-between text-sm font-medium">
        {label}
        {optional && <span className="font-normal text-quiet">Optional</span>}
      </label>
      <input
        id={id}
        {...input}
        aria-invalid={error !== undefined}
        aria-describedby={words ? `${id}-words` : undefined}
        className="h-10 w-full rounded-lg border border-line-strong bg-ground px-3 transition-colors outline-none focus:border-accent focus:ring-1 focus:ring-accent aria-invalid:border-bad aria-invalid:ring-bad"
      />
      {words && (
        <p id={`${id}-words`} className={`mt-1.5 text-sm ${error ? "text-bad" : "text-quiet"}`}>
          {words}
        </p>
      )}
    </div>
  );
}
