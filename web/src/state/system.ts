/**
 * What the view of the whole system shows beside the status: the user's flags, answers that failed, and the self-test. Kept up while somebody looks.
 */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { MessageState, Role, type Message } from "@parley/protos/parley/chat/v1/message_pb";
import { ResourceType, type Event } from "@parley/protos/parley/events/v1/event_pb";
import { EventService } from "@parley/protos/parley/events/v1/event_service_pb";
import type { EvaluatedFlag } from "@parley/protos/parley/flags/v1/flag_pb";
import { FlagService } from "@parley/protos/parley/flags/v1/flag_service_pb";
import type { RunSelfTestResponse } from "@parley/protos/parley/system/v1/system_service_pb";
import { createStore } from "zustand/vanilla";
import { follow } from "./follow";

/** An answer that failed, and when. */
export interface FailedAnswer {
  readonly message: Message;
  readonly at: Date;
}

export interface SelfTestState {
  readonly running: boolean;
  readonly result: RunSelfTestResponse | undefined;
  /** Set when the last one was not run at all. */
  readonly error: ParleyError | undefined;
}

export interface SystemState {
  /** Of the user's last events, the newest first. Undefined until they were read. */
  readonly failures: readonly FailedAnswer[] | undefined;
  readonly error: ParleyError | undefined;
  /** As they are for the user. Undefined until they were told. */
  readonly flags: readonly EvaluatedFlag[] | undefined;
  readonly selfTest: SelfTestState;
}

const EMPTY: SystemState = {
  failures: undefined,
  error: undefined,
  flags: undefined,
  selfTest: { running: false, result: undefined, error: undefined },
};

/** How far to look back for answers that failed, in events of the user. */
const EVENTS = 400n;
const MOST_FAILURES = 10;
/** The self-test itself gives up after 40 seconds. */
const SELF_TEST_MS = 60_000;

export class SystemView {
  readonly store = createStore<SystemState>(() => EMPTY);
  readonly #parley: ParleyClient;
  readonly #flags;
  readonly #events;
  #asked = 0;
  #watchers = 0;
  #testing: object | undefined;

  constructor(parley: ParleyClient) {
    this.#parley = parley;
    this.#flags = parley.service(FlagService);
    this.#events = parley.service(EventService);
  }

  /** Looks for answers that failed anew. */
  async refresh(): Promise<void> {
    const asked = (this.#asked += 1);
    try {
      const failures = await this.#lastFailures();
      if (asked === this.#asked) this.store.setState({ error: undefined, failures });
    } catch (thrown) {
      if (asked === this.#asked) this.store.setState({ error: toParleyError(thrown) });
    }
  }

  /** Reads everything and follows what changes. Returns what ends it. */
  watch(): () => void {
    this.#watchers += 1;
    void this.refresh();
    const leave = follow({
      open: (signal) => this.#flags.watchFlags({}, { signal }),
      onMessage: ({ flags }) => this.store.setState({ flags }),
      // The status, which is beside them, tells that Parley cannot be reached.
      onError: () => undefined,
    });
    return () => {
      this.#watchers -= 1;
      leave();
    };
  }

  /** Takes in what happened. */
  observe(event: Event): void {
    const failed = this.#watchers > 0 ? failure(event) : undefined;
    if (!failed) return;
    const others = (this.store.getState().failures ?? []).filter(({ message }) => message.messageId !== failed.message.messageId);
    this.store.setState({ failures: [failed, ...others].slice(0, MOST_FAILURES) });
  }

  /** What happened for a while is not known. */
  renew(): void {
    if (this.#watchers > 0) void this.refresh();
  }

  /** Has every service used once. One at a time. */
  async runSelfTest(): Promise<void> {
    const { running, result } = this.store.getState().selfTest;
    if (running) return;
    const testing = (this.#testing = {});
    const set = (selfTest: SelfTestState) => testing === this.#testing && this.store.setState({ selfTest });
    set({ running: true, result, error: undefined });
    try {
      set({ running: false, result: await this.#parley.system.runSelfTest({}, { timeoutMs: SELF_TEST_MS }), error: undefined });
    } catch (thrown) {
      set({ running: false, result: undefined, error: toParleyError(thrown) });
    }
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    this.#asked += 1;
    this.#testing = undefined;
    this.store.setState(EMPTY, true);
  }

  async #lastFailures(): Promise<FailedAnswer[]> {
    const resourceTypes = [ResourceType.MESSAGE];
    // Only the newest place is wanted of the first page.
    const { newestSequence } = await this.#events.listEvents({ pageSize: 1, resourceTypes });
    const found = new Map<string, FailedAnswer>();
    let after = newestSequence > EVENTS ? newestSequence - EVENTS : 0n;
    while (after < newestSequence) {
      const page = await this.#events.listEvents({ afterSequence: after, pageSize: 200, resourceTypes });
      for (const event of page.events) {
        const failed = failure(event);
        if (failed) found.set(event.resourceId, failed);
      }
      if (page.nextAfterSequence <= after) break;
      after = page.nextAfterSequence;
    }
    return [...found.values()].toReversed().slice(0, MOST_FAILURES);
  }
}

function failure({ resource, time }: Event): FailedAnswer | undefined {
  if (resource.case !== "message") return undefined;
  const message = resource.value;
  if (message.role !== Role.ASSISTANT || message.state !== MessageState.FAILED) return undefined;
  return { message, at: new Date(time ? timestampMs(time) : Date.now()) };
}
