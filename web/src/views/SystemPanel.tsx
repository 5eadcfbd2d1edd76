/** How each part of Parley is: its services, the providers of models, the servers of tools, what failed lately, and a test of all of it. */
import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import { useEffect, type ReactNode } from "react";
import { useStore } from "zustand";
import type { ProviderHealth } from "@parley/protos/parley/ai/v1/generation_service_pb";
import { FlagReason, type EvaluatedFlag } from "@parley/protos/parley/flags/v1/flag_pb";
import type { GetStatusResponse, QueueStatus, ServiceStatus, ToolServerStatus } from "@parley/protos/parley/system/v1/system_service_pb";
import { Button } from "../parts/buttons";
import { HealthDot } from "../parts/HealthDot";
import { Notice } from "../parts/Notice";
import { wordsFor, wordsForFailure, wordsForProvider } from "../rpc/errors";
import { navigation, status as statusStore } from "../state/app";
import type { FailedAnswer } from "../state/system";
import { system as store } from "../state/systemOfPage";
import { count } from "../text/figures";
import { overall, PROVIDER_STATES, SERVICE_NAMES, STATES, type Health } from "../text/status";
import { when } from "../text/tasks";
import { Incidents } from "./Incidents";
import { SelfTest } from "./SelfTest";
import { SystemMap } from "./SystemMap";

export function SystemPanel() {
  const { status, error: statusError } = useStore(statusStore.store);
  const { error, flags, failures } = useStore(store.store);
  useEffect(() => statusStore.follow(), []);
  useEffect(() => store.watch(), []);
  const { words, health } = overall(status, statusError);
  const trouble = statusError ?? error;
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto w-full max-w-3xl px-4 pt-4 pb-12 sm:px-6">
        <h1 className="mb-1 font-serif text-[1.9rem] leading-tight tracking-[-0.015em]">System</h1>
        <p className="mb-5 flex items-center gap-2.5 text-quiet" role="status">
          <HealthDot health={health} className="size-2.5" />
          {words}
        </p>
        {trouble && (
          <div className="mb-4">
            <Notice
              kind="bad"
              action={
                <Button
                  onClick={() => {
                    void statusStore.ask();
                    void store.refresh();
                  }}
                >
                  Try again
                </Button>
              }
            >
              {wordsFor(trouble)}
            </Notice>
          </div>
        )}
        {!status && !trouble && <div className="h-28 animate-breathe rounded-2xl bg-hover" role="status" aria-label="Loading" />}
        {status && (
          <Section name="Services">
            <ul className="grid gap-3 sm:grid-cols-3">
              {status.services.map((service) => (
                <Service key={service.service} service={service} note={noteOf(service.service, status)} />
              ))}
            </ul>
          </Section>
        )}
        {status && <SystemMap status={status} />}
        {status?.answers && <Incidents answers={status.answers} incidents={status.incidents} />}
        <SelfTest />
        {status && status.providers.length > 0 && (
          <Section name="Providers of models">
            <Rows>
              {status.providers.map((provider) => (
                <Provider key={provider.provider} provider={provider} />
              ))}
            </Rows>
          </Section>
        )}
        {status && status.queues.length > 0 && (
          <Section name="Work">
            <Rows>
              {status.queues.map((queue) => (
                <Queue key={queue.name} queue={queue} />
              ))}
            </Rows>
          </Section>
        )}
        {status && status.toolServers.length > 0 && (
          <Section name="Servers of tools">
            <Rows>
              {status.toolServers.map((server) => (
                <ToolServer key={server.name} server={server} />
              ))}
            </Rows>
          </Section>
        )}
        {failures && <Failures failures={failures} />}
        {flags && <Flags flags={flags} />}
      </div>
    </div>
  );
}

export function Section({ name, beside, children }: { name: string; beside?: ReactNode; children: ReactNode }) {
  const id = `system-${name.toLowerCase().replaceAll(" ", "-")}`;
  return (
    <section aria-labelledby={id} className="mt-8 first-of-type:mt-0">
      <div className="mb-3 flex min-h-9 flex-wrap items-center gap-3">
        <h2 id={id} className="flex-1 font-medium">
          {name}
        </h2>
        {beside}
      </div>
      {children}
    </section>
  );
}

function Rows({ children }: { children: ReactNode }) {
  return <ul className="divide-y divide-line rounded-2xl border border-line bg-raised">{children}</ul>;
}

function noteOf(service: string, status: GetStatusResponse): string {
  if (service === "chat") return status.runningTurns === 1 ? "1 answer is being written" : `${count(status.runningTurns)} answers are being written`;
  if (service === "inference") return status.offline ? "The offline model answers" : status.defaultModel;
  return "";
}

function Service({ service: { service, state, stateChangeTime, version }, note }: { service: ServiceStatus; note: string }) {
  const { words, health } = STATES[state];
  return (
    <li className="rounded-2xl border border-line bg-raised px-4 py-3.5">
      <h3 className="text-xs font-medium text-quiet">{SERVICE_NAMES[service] ?? service}</h3>
      <p className="mt-0.5 flex items-center gap-2 font-medium">
        <HealthDot health={health} />
        {words}
      </p>
      <p className="mt-1 text-xs text-quiet tabular-nums">
        <Since time={stateChangeTime} />
        {version && <span className="block">release {version}</span>}
      </p>
      {note && <p className="mt-1 text-xs break-words text-quiet">{note}</p>}
    </li>
  );
}

function Since({ time }: { time: Timestamp | undefined }) {
  if (!time) return null;
  const date = timestampDate(time);
  return <time dateTime={date.toISOString()}>since {when(date, new Date())}</time>;
}

function Provider({ provider: { provider, state, stateChangeTime, lastFailureReason, runningCalls, waitingCalls } }: { provider: ProviderHealth }) {
  const { words, health } = PROVIDER_STATES[state];
  return (
    <Row name={provider} health={health} words={words} since={stateChangeTime}>
      <span className="tabular-nums">
        {count(runningCalls)} {runningCalls === 1 ? "call" : "calls"} running, {count(waitingCalls)} waiting
      </span>
      {lastFailureReason && <span className="block">Its last failure: {wordsForProvider(lastFailureReason)}</span>}
    </Row>
  );
}

const QUEUES: Record<string, string> = { turns: "Answers", batches: "Lines of batches", ingestion: "Files to read in" };

function Queue({ queue: { name, waitingCount, runningCount } }: { queue: QueueStatus }) {
  return (
    <li className="flex flex-wrap items-baseline gap-x-4 px-4 py-2.5 text-sm">
      <h3 className="min-w-32 flex-1 font-medium">{QUEUES[name] ?? name}</h3>
      <p className="text-quiet tabular-nums">
        {count(runningCount)} in work, {count(waitingCount)} waiting
      </p>
    </li>
  );
}

function ToolServer({ server: { name, state, stateChangeTime, toolCount, leftOutToolCount } }: { server: ToolServerStatus }) {
  const { words, health } = STATES[state];
  return (
    <Row name={name} health={health} words={words} since={stateChangeTime}>
      <span className="tabular-nums">
        {count(toolCount)} {toolCount === 1 ? "tool" : "tools"}
        {leftOutToolCount > 0 && `, and ${count(leftOutToolCount)} left out`}
      </span>
    </Row>
  );
}

interface RowProps {
  name: string;
  health: Health;
  words: string;
  since: Timestamp | undefined;
  children: ReactNode;
}

function Row({ name, health, words, since, children }: RowProps) {
  return (
    <li className="flex flex-wrap items-baseline gap-x-4 gap-y-0.5 px-4 py-2.5 text-sm">
      <h3 className="min-w-32 flex-1 font-medium break-all">{name}</h3>
      <p className="flex items-center gap-2">
        <HealthDot health={health} />
        {words}
      </p>
      <p className="w-full text-xs text-quiet">
        {since && (
          <>
            <Since time={since} />
            {" · "}
          </>
        )}
        {children}
      </p>
    </li>
  );
}

function Failures({ failures }: { failures: readonly FailedAnswer[] }) {
  return (
    <Section name="Answers of yours that failed lately">
      {failures.length === 0 ? (
        <p className="text-sm text-quiet">None did.</p>
      ) : (
        <Rows>
          {failures.map(({ message, at }) => (
            <li key={message.messageId} className="px-4 py-2.5 text-sm">
              <a
                href={`/c/${message.sessionId}`}
                onClick={(event) => {
                  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
                  event.preventDefault();
                  navigation.go(`/c/${message.sessionId}`);
                }}
                className="hover:text-accent"
              >
                {wordsForFailure(message.failure)}
              </a>
              <p className="text-xs text-quiet">
                {[when(at, new Date()), message.model].filter(Boolean).join(" · ")}
              </p>
            </li>
          ))}
        </Rows>
      )}
    </Section>
  );
}

const FLAG_REASONS: Partial<Record<FlagReason, string>> = {
  [FlagReason.DISABLED]: "switched off for everybody",
  [FlagReason.USER_OFF]: "switched off for you",
  [FlagReason.USER_ON]: "switched on for you",
  [FlagReason.IN_ROLLOUT]: "you are among those who have it",
  [FlagReason.OUT_OF_ROLLOUT]: "you are not yet among those who have it",
};

function Flags({ flags }: { flags: readonly EvaluatedFlag[] }) {
  return (
    <Section name="Feature flags">
      {flags.length === 0 ? (
        <p className="text-sm text-quiet">There are none.</p>
      ) : (
        <Rows>
          {flags.map(({ name, enabled, value, reason }) => (
            <li key={name} className="flex flex-wrap items-baseline gap-x-4 px-4 py-2.5 text-sm">
              <h3 className="min-w-32 flex-1 font-medium break-all">{name}</h3>
              <p className="flex items-center gap-2">
                <HealthDot health={enabled ? "good" : "unknown"} />
                {enabled ? "on" : "off"}
                {value && <span className="break-all text-quiet">{value}</span>}
              </p>
              {FLAG_REASONS[reason] && <p className="w-full text-xs text-quiet">{FLAG_REASONS[reason]}</p>}
            </li>
          ))}
        </Rows>
      )}
    </Section>
  );
}
