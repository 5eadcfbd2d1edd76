/** The user's own account: personal access tokens, and what was done with the account. Read when somebody looks. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import type { AuditEvent } from "@parley/protos/parley/identity/v1/audit_event_pb";
import { IdentityService } from "@parley/protos/parley/identity/v1/identity_service_pb";
import type { AccessToken } from "@parley/protos/parley/identity/v1/user_pb";
import { createStore } from "zustand/vanilla";

export interface NewToken {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly days: number;
}

export interface AccountState {
  /** The newest first. Undefined until they were read. */
  readonly tokens: readonly AccessToken[] | undefined;
  readonly events: readonly AuditEvent[] | undefined;
  /** Asks for older events; empty when there are none. */
  readonly moreEvents: string;
  /** What a new token may be used for at most. */
  readonly scopes: readonly string[];
  readonly error: ParleyError | undefined;
}

const EMPTY: AccountState = { tokens: undefined, events: undefined, moreEvents: "", scopes: [], error: undefined };
const EVENTS = 20;
const DAY_SECONDS = 86_400n;
/** A user has at most 1,000 tokens. */
const MOST_PAGES = 10;

export class AccountView {
  readonly store = createStore<AccountState>(() => EMPTY);
  readonly #identity;
  #asked = 0;

  constructor(parley: ParleyClient) {
    this.#identity = parley.service(IdentityService);
  }

  /** Reads everything. */
  async refresh(): Promise<void> {
    const asked = (this.#asked += 1);
    try {
      const [tokens, activity, user] = await Promise.all([
        this.#allTokens(),
        this.#identity.listAuditEvents({ pageSize: EVENTS }),
        this.#identity.getCurrentUser({}),
      ]);
      if (asked !== this.#asked) return;
      this.store.setState({ tokens, events: activity.auditEvents, moreEvents: activity.nextPageToken, scopes: user.scopes, error: undefined });
    } catch (thrown) {
      if (asked === this.#asked) this.store.setState({ error: toParleyError(thrown) });
    }
  }

  /** Reads older events. Throws a ParleyError. */
  async readMore(): Promise<void> {
    const { moreEvents, events } = this.store.getState();
    if (!moreEvents || !events) return;
    const asked = this.#asked;
    const page = await this.#identity.listAuditEvents({ pageSize: EVENTS, pageToken: moreEvents });
    if (asked !== this.#asked || this.store.getState().moreEvents !== moreEvents) return;
    this.store.setState({ events: [...events, ...page.auditEvents], moreEvents: page.nextPageToken });
  }

  /** Makes a token and gives it: it is told this once. Throws a ParleyError. */
  async create({ name, scopes, days }: NewToken): Promise<string> {
    const { token } = await this.#identity.createAccessToken({ name, scopes: [...scopes], timeToLive: { seconds: BigInt(days) * DAY_SECONDS, nanos: 0 } });
    void this.refresh();
    return token;
  }

  /** Throws a ParleyError. */
  async revoke(accessTokenId: string): Promise<void> {
    await this.#identity.revokeAccessToken({ accessTokenId });
    await this.refresh();
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    this.#asked += 1;
    this.store.setState(EMPTY, true);
  }

  async #allTokens(): Promise<AccessToken[]> {
    const found: AccessToken[] = [];
    let pageToken = "";
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const { accessTokens, nextPageToken } = await this.#identity.listAccessTokens({ pageSize: 100, pageToken });
      found.push(...accessTokens);
      if (!nextPageToken) break;
      pageToken = nextPageToken;
    }
    return found;
  }
}
