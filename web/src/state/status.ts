/** How Parley is: asked for now and then, and told as it changes while somebody looks closely. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { SystemService, type GetStatusResponse } from "@parley/protos/parley/system/v1/system_service_pb";
import { createStore } from "zustand/vanilla";
import { follow } from "./follow";

export interface StatusState {
  readonly status: GetStatusResponse | undefined;
  /** Set when the last question got no answer. */
  readonly error: ParleyError | undefined;
}

const EVERY_MS = 30_000;

export class Status {
  readonly store = createStore<StatusState>(() => ({ status: undefined, error: undefined }));
  readonly #parley: ParleyClient;

  constructor(parley: ParleyClient) {
    this.#parley = parley;
  }

  async ask(): Promise<void> {
    try {
      this.store.setState({ status: await this.#parley.system.getStatus({}), error: undefined });
    } catch (thrown) {
      this.store.setState({ error: toParleyError(thrown) });
    }
  }

  /** Asks now and every 30 seconds while the page is visible: a connection for each tab would be too many. Returns what ends it. */
  watch(): () => void {
    void this.ask();
    const ask = () => {
      if (document.visibilityState === "visible") void this.ask();
    };
    const timer = setInterval(ask, EVERY_MS);
    document.addEventListener("visibilitychange", ask);
    addEventListener("online", ask);
    addEventListener("offline", ask);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", ask);
      removeEventListener("online", ask);
      removeEventListener("offline", ask);
    };
  }

  /** Is told of every change, over a connection of its own. Returns what ends it. */
  follow(): () => void {
    return follow({
      open: (signal) => this.#parley.service(SystemService).watchStatus({}, { signal }),
      onMessage: ({ status }) => status && this.store.setState({ status, error: undefined }),
      onError: (error) => this.store.setState({ error }),
    });
  }
}
