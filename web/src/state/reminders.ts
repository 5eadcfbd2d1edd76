/**
 * Reminders whose time has come: shown until their user is done with them, also those that came while nobody looked.
 *
 * What was dismissed is kept in this browser. A task that is completed, deleted or put off takes its reminder along, on every device.
 */
import type { ParleyClient } from "@parley/client";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Action, ResourceType, type Event } from "@parley/protos/parley/events/v1/event_pb";
import { EventService } from "@parley/protos/parley/events/v1/event_service_pb";
import { TaskState, type Task } from "@parley/protos/parley/workspace/v1/task_pb";
import { createStore } from "zustand/vanilla";

/** A reminder on the screen. */
export interface Reminder {
  /** The place of its event. */
  readonly sequence: number;
  readonly task: Task;
}

/** How far back to look for what came while the page was closed: events, and milliseconds. */
const LOOK_BACK_EVENTS = 2_000;
const LOOK_BACK_MS = 3 * 86_400_000;
/** The same in a browser that knows nothing of what its user has seen elsewhere. */
const FIRST_LOOK_BACK_MS = 86_400_000;
const PAGE_SIZE = 200;
const KEPT = 200;

interface Kept {
  /** The place up to which everything was seen. */
  readonly since?: number;
  /** Reminders after it that were dismissed. */
  readonly dismissed: readonly number[];
}

export class Reminders {
  readonly store = createStore<{ readonly reminders: readonly Reminder[] }>(() => ({ reminders: [] }));
  /** Told of each reminder that comes while the page is open. */
  onReminder: ((reminder: Reminder) => void) | undefined;
  readonly #parley: ParleyClient;
  readonly #service;
  readonly #storage: Pick<Storage, "getItem" | "setItem"> | undefined;
  /** Another for another user. */
  #owner = {};

  constructor(parley: ParleyClient, storage: Pick<Storage, "getItem" | "setItem"> | undefined = browserStorage()) {
    this.#parley = parley;
    this.#service = parley.service(EventService);
    this.#storage = storage;
  }

  /** Takes in something that happened. */
  observe(event: Event): void {
    const reminder = this.#apply(event);
    if (reminder) this.onReminder?.(reminder);
  }

  /** Looks for what came before this place, while nobody looked. What cannot be read now is looked for at the next opening. */
  async lookBack(newest: number): Promise<void> {
    const owner = this.#owner;
    const { since } = this.#kept();
    const oldest = Date.now() - (since === undefined ? FIRST_LOOK_BACK_MS : LOOK_BACK_MS);
    try {
      for (let after = Math.max(since ?? 0, newest - LOOK_BACK_EVENTS); after < newest; ) {
        const page = await this.#service.listEvents({ afterSequence: BigInt(after), pageSize: PAGE_SIZE, resourceTypes: [ResourceType.TASK] });
        if (owner !== this.#owner) return;
        for (const event of page.events) {
          const isOld = event.action === Action.REMINDED && (event.time ? timestampMs(event.time) : 0) < oldest;
          if (!isOld) this.#apply(event);
        }
        const next = Number(page.nextAfterSequence);
        if (next <= after) break;
        after = next;
      }
    } catch {
      return;
    }
    this.#newest = Math.max(this.#newest, newest);
    this.#keep();
  }

  /** Puts a reminder away, in every tab of this browser. */
  dismiss(sequence: number): void {
    const { since, dismissed } = this.#kept();
    this.#write({ ...(since === undefined ? {} : { since }), dismissed: [...dismissed, sequence].slice(-KEPT) });
    this.#set(this.store.getState().reminders.filter((reminder) => reminder.sequence !== sequence));
    this.#keep();
  }

  /** Takes over what another tab has dismissed. */
  reread(): void {
    this.#set(this.store.getState().reminders.filter(({ sequence }) => !this.#wasSeen(sequence)));
  }

  /** Where this browser keeps what was dismissed. */
  get key(): string {
    return `parley.reminders.${this.#parley.user?.userId ?? ""}`;
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    this.#owner = {};
    this.#newest = 0;
    this.store.setState({ reminders: [] });
  }

  /** The newest event that was taken in. */
  #newest = 0;

  #apply(event: Event): Reminder | undefined {
    const sequence = Number(event.sequence);
    const { resourceId, action, resource } = event;
    this.#newest = Math.max(this.#newest, sequence);
    if (event.resourceType !== ResourceType.TASK) return undefined;
    const { reminders } = this.store.getState();
    const shown = reminders.find(({ task }) => task.taskId === resourceId);
    if (action !== Action.REMINDED) {
      const task = resource.case === "task" ? resource.value : undefined;
      const over = !task || task.state === TaskState.COMPLETED || (shown && isPutOff(shown.task, task));
      // What happened before the reminder says nothing about it.
      if (shown && sequence > shown.sequence) {
        this.#set(over ? reminders.filter((each) => each !== shown) : reminders.map((each) => (each === shown ? { ...each, task } : each)));
      }
      return undefined;
    }
    if (resource.case !== "task" || (shown && shown.sequence >= sequence) || this.#wasSeen(sequence)) return undefined;
    const reminder = { sequence, task: resource.value };
    this.#set([...reminders.filter((each) => each !== shown), reminder].sort((one, other) => one.sequence - other.sequence));
    return reminder;
  }

  #set(reminders: readonly Reminder[]): void {
    this.store.setState({ reminders });
  }

  /** Notes how far everything was seen: up to the first reminder that is still shown. */
  #keep(): void {
    const first = this.store.getState().reminders[0];
    const since = Math.max(this.#kept().since ?? 0, first ? first.sequence - 1 : this.#newest);
    this.#write({ since, dismissed: this.#kept().dismissed.filter((sequence) => sequence > since) });
  }

  #wasSeen(sequence: number): boolean {
    const { since = 0, dismissed } = this.#kept();
    return sequence <= since || dismissed.includes(sequence);
  }

  #kept(): Kept {
    try {
      const kept = JSON.parse(this.#storage?.getItem(this.key) ?? "{}") as Partial<Kept>;
      return { dismissed: Array.isArray(kept.dismissed) ? kept.dismissed : [], ...(typeof kept.since === "number" ? { since: kept.since } : {}) };
    } catch {
      // Storage is blocked or damaged: then nothing is known.
      return { dismissed: [] };
    }
  }

  #write(kept: Kept): void {
    try {
      this.#storage?.setItem(this.key, JSON.stringify(kept));
    } catch {
      // Storage is blocked: what was dismissed is back after a reload.
    }
  }
}

function isPutOff(before: Task, after: Task): boolean {
  return (after.dueTime?.seconds ?? 0n) > (before.dueTime?.seconds ?? 0n);
}

/** The browser's storage; undefined where it is blocked or there is none. */
export function browserStorage(): Storage | undefined {
  try {
    return typeof localStorage === "undefined" ? undefined : localStorage;
  } catch {
    return undefined;
  }
}
