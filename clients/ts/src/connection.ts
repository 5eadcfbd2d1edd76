/** One connection of a stream that outlives connections, and which failures are worth another. */
import { Code } from "@connectrpc/connect";
import { hasNetworkEvents } from "./backoff.js";
import { ErrorReason, ParleyError } from "./errors.js";

/** One connection's signal: aborted by the caller, by silence, when the browser says that the network is gone, and at the end. */
export class Connection {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #idleMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silent = false;

  constructor(caller: AbortSignal | undefined, idleMs: number) {
    this.#caller = caller;
    this.#idleMs = idleMs;
    caller?.throwIfAborted();
    caller?.addEventListener("abort", this.#onCaller);
    if (hasNetworkEvents) addEventListener("offline", this.#onOffline);
    this.heard();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it ended because nothing came for too long. */
  get silent(): boolean {
    return this.#silent;
  }

  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onSilence, this.#idleMs);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener("abort", this.#onCaller);
    if (hasNetworkEvents) removeEventListener("offline", this.#onOffline);
    this.#controller.abort("The connection is no longer needed.");
  }

  readonly #onSilence = () => {
    this.#silent = true;
    this.#controller.abort("The stream fell silent.");
  };
  readonly #onCaller = () => this.#controller.abort(this.#caller?.reason);
  readonly #onOffline = () => this.#controller.abort("The network is gone.");
}

/** A lost connection is; so is a service that says it is away. A refusal stays one however often it is asked for. */
export function isWorthRepeating(error: ParleyError): boolean {
  if (error.connectionLost) return true;
  if (error.reason === ErrorReason.UNSPECIFIED) return error.code === Code.DeadlineExceeded;
  return (
    error.reason === ErrorReason.SERVICE_UNAVAILABLE ||
    error.reason === ErrorReason.STREAM_IDLE ||
    error.reason === ErrorReason.DEADLINE_EXCEEDED
  );
}

/** The error of a connection that ended before its stream did. */
export function cut(message: string): ParleyError {
  return new ParleyError({ message, code: Code.Unavailable, connectionLost: true });
}
