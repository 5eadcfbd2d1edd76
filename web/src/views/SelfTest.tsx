/** Has every service used once, and shows what came of it. */
import { Check, CircleAlert, LoaderCircle } from "lucide-react";
import { useStore } from "zustand";
import type { SelfTestCheck } from "@parley/protos/parley/system/v1/system_service_pb";
import { Button } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { wordsFor } from "../rpc/errors";
import { system as store } from "../state/systemOfPage";
import { duration } from "../text/figures";
import { SERVICE_NAMES } from "../text/status";
import { Section } from "./SystemPanel";

const CHECKS: Record<string, string> = {
  database: "Something is written to the database",
  turn_log: "An answer's events are written and read",
  model: "The model writes a few words",
  search: "Something is put into the index and found",
};

export function SelfTest() {
  const { running, result, error } = useStore(store.store, (state) => state.selfTest);
  return (
    <Section
      name="Self-test"
      beside={
        // Stays in place while it runs, so that the focus does.
        <Button aria-disabled={running} className={running ? "opacity-60" : ""} onClick={() => void store.runSelfTest()}>
          {running && <LoaderCircle className="size-4 animate-spin" aria-hidden="true" />}
          {running ? "Testing…" : "Run the self-test"}
        </Button>
      }
    >
      {error ? (
        <Notice kind="bad" urgent>
          {wordsFor(error)}
        </Notice>
      ) : (
        !result && <p className="text-sm text-pretty text-quiet">Uses every service once, as you, and asks the default model for a word. That costs a few tokens.</p>
      )}
      {result && (
        <>
          <p className="mb-2 flex items-center gap-2 text-sm font-medium" role="status">
            <Verdict passed={result.passed} />
            {result.passed ? "Everything passed" : "Not everything passed"}, in {duration(result.durationMs)}
          </p>
          <ul aria-label="Checks" className="divide-y divide-line rounded-2xl border border-line bg-raised">
            {result.checks.map((check) => (
              <CheckRow key={check.name} check={check} />
            ))}
          </ul>
        </>
      )}
    </Section>
  );
}

function CheckRow({ check: { name, service, passed, durationMs, message } }: { check: SelfTestCheck }) {
  return (
    <li className="flex items-start gap-3 px-4 py-2.5 text-sm">
      <span className="mt-0.5">
        <Verdict passed={passed} />
      </span>
      <div className="min-w-0 flex-1">
        <p>
          <span className="sr-only">{passed ? "Passed: " : "Failed: "}</span>
          {CHECKS[name] ?? name}
        </p>
        <p className="text-xs break-words text-quiet">
          {SERVICE_NAMES[service] ?? service}
          {message && ` · ${message}`}
        </p>
      </div>
      <span className="text-quiet tabular-nums">{duration(durationMs)}</span>
    </li>
  );
}

function Verdict({ passed }: { passed: boolean }) {
  return passed ? <Check className="size-4 text-good" aria-hidden="true" /> : <CircleAlert className="size-4 text-bad" aria-hidden="true" />;
}
