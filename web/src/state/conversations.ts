/** The conversations that are open in this page, by session, and the one that has no session yet. */
import type { ParleyClient } from "@parley/client";
import type { Message } from "@parley/protos/parley/chat/v1/message_pb";
import { Conversation } from "./conversation";

export interface ConversationsListener {
  /** The project that new sessions are to belong to. None when absent or empty. */
  projectId?(): string;
  /** The model or alias that is to answer. The route's when absent or empty. */
  model?(): string;
  /** The new conversation got its session. */
  onBorn?(conversation: Conversation, sessionId: string): void;
  /** Something changed that lists of sessions show. */
  onChanged?(): void;
}

/** How many conversations without a running turn are kept, so that going back to one is instant. */
const KEPT = 12;

export class Conversations {
  readonly #parley: ParleyClient;
  readonly #listener: ConversationsListener;
  /** The last opened at the end. */
  readonly #open = new Map<string, Conversation>();
  #fresh: Conversation | undefined;
  /** The session on the screen. */
  #shown: string | undefined;
  /** Kept conversations that something happened in, or may have: read anew when they are shown. */
  readonly #stale = new Set<string>();

  constructor(parley: ParleyClient, listener: ConversationsListener = {}) {
    this.#parley = parley;
    this.#listener = listener;
  }

  /** The conversation of a session, or the new one, to be shown: while it is, its answers are followed as they begin. */
  get(sessionId: string | undefined): Conversation {
    this.#shown = sessionId;
    if (sessionId === undefined) return (this.#fresh ??= this.#make());
    const open = this.#open.get(sessionId) ?? this.#make(sessionId);
    const isNew = !this.#open.delete(sessionId);
    this.#open.set(sessionId, open);
    if (this.#stale.delete(sessionId) || isNew) void open.load();
    this.#forgetOldest();
    return open;
  }

  /** Loads what other doors have added to the conversation on the screen. */
  refresh(sessionId: string): void {
    const open = this.#open.get(sessionId);
    if (open && !open.state.loading) void open.load();
  }

  /** Shows what happened in a session, on this device or another. One that is not on the screen is read when it is: connections are few. */
  observe(message: Message): void {
    const { sessionId } = message;
    const open = this.#open.get(sessionId);
    if (open && this.#shown === sessionId) open.observe(message);
    else if (open) this.#stale.add(sessionId);
  }

  /** What happened for a while is not known: reads the conversation on the screen anew, and the others when they are shown. */
  renew(): void {
    for (const sessionId of this.#open.keys()) {
      if (sessionId === this.#shown) this.refresh(sessionId);
      else this.#stale.add(sessionId);
    }
  }

  /** Drops a deleted session. */
  drop(sessionId: string): void {
    this.#open.get(sessionId)?.close();
    this.#open.delete(sessionId);
  }

  /** Drops everything: another user may sign in. */
  clear(): void {
    for (const conversation of this.#open.values()) conversation.close();
    this.#fresh?.close();
    this.#open.clear();
    this.#stale.clear();
    this.#fresh = undefined;
  }

  #make(sessionId?: string): Conversation {
    return new Conversation(this.#parley, sessionId, {
      projectId: () => this.#listener.projectId?.() ?? "",
      model: () => this.#listener.model?.() ?? "",
      onStarted: (conversation, id) => {
        if (this.#fresh === conversation) {
          this.#fresh = undefined;
          this.#open.set(id, conversation);
          if (this.#shown === undefined) this.#shown = id;
          this.#listener.onBorn?.(conversation, id);
        }
        this.#listener.onChanged?.();
      },
      onChanged: () => this.#listener.onChanged?.(),
    });
  }

  #forgetOldest(): void {
    for (const [sessionId, conversation] of this.#open) {
      if (this.#open.size <= KEPT) return;
      const { live, outgoing, draft, attached } = conversation.state;
      if (Object.keys(live).length === 0 && !outgoing && !draft && attached.length === 0) this.#open.delete(sessionId);
    }
  }
}
