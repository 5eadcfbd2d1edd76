/**
 * Where the pair of tokens is kept, and the one place that renews it.
 *
 * A refresh token works once, and one that is used twice ends the whole sign-in. So a renewal happens once however many calls need it, in
 * this tab (one promise) and across tabs (a lock around "read again, then renew").
 */
import { Code } from "@connectrpc/connect";
import type { TokenPair, User } from "@parley/protos/parley/identity/v1/user_pb";
import { ErrorReason, ParleyError, toParleyError } from "./errors.js";

/** What is kept of a sign-in. Plain JSON. */
export interface SignIn {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** When to renew the access token, milliseconds since 1970 by this machine's clock. */
  readonly renewAt: number;
  readonly user: SignedInUser;
}

/** Who is signed in. Plain JSON. */
export interface SignedInUser {
  readonly userId: string;
  readonly email: string;
  readonly displayName: string;
}

/** Keeps one sign-in. */
export interface TokenStore {
  read(): SignIn | undefined;
  write(signIn: SignIn | undefined): void;
  /** Runs the work while no other user of the same store runs theirs. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  /** Tells of writes by other users of the store. Returns what ends it. */
  watch(listener: () => void): () => void;
}

/** A store that ends with the process: for tests and servers. */
export function memoryTokenStore(initial?: SignIn): TokenStore {
  let kept = initial;
  let last: Promise<unknown> = Promise.resolve();
  return {
    read: () => kept,
    write: (signIn) => {
      kept = signIn;
    },
    exclusively: (work) => {
      const run = last.then(work, work);
      last = run.catch(() => undefined);
      return run;
    },
    watch: () => () => undefined,
  };
}

/**
 * A store in `localStorage`, shared by all tabs of the origin.
 *
 * Both tokens are kept there. In `sessionStorage` a duplicated tab would copy the refresh token, and the second use of one ends
 * the sign-in of both. With the access token only in memory every reload would have to renew, and a reload in the middle of that
 * renewal would lose the new pair and end the sign-in; it would protect nothing, because a script that can read the refresh token can buy
 * access tokens. What protects both is that no foreign script runs: the page's content security policy.
 */
export function browserTokenStore(key = "parley.sign-in"): TokenStore {
  return {
    read() {
      try {
        const text = localStorage.getItem(key);
        return text === null ? undefined : (JSON.parse(text) as SignIn);
      } catch {
        // Storage that is blocked or damaged is the same as nobody being signed in.
        return undefined;
      }
    },
    write(signIn) {
      try {
        if (signIn === undefined) localStorage.removeItem(key);
        else localStorage.setItem(key, JSON.stringify(signIn));
      } catch {
        // A browser that refuses storage: the sign-in lasts as long as TokenKeeper's own copy.
      }
    },
    exclusively<T>(work: () => Promise<T>): Promise<T> {
      // Web Locks exist in secure contexts only; without them two tabs that renew in the same instant can still collide.
      if (!("locks" in navigator)) return work();
      return navigator.locks.request(key, work) as Promise<T>;
    },
    watch(listener) {
      const onStorage = (event: StorageEvent) => {
        if (event.key === key || event.key === null) listener();
      };
      addEventListener("storage", onStorage);
      return () => removeEventListener("storage", onStorage);
    },
  };
}

/** Buys the next pair with a refresh token. */
export type Renew = (refreshToken: string) => Promise<TokenPair>;

/** Hands out access tokens that are good, and tells when somebody signs in or out. */
export class TokenKeeper {
  readonly #store: TokenStore;
  readonly #renew: Renew;
  readonly #listeners = new Set<() => void>();
  #copy: SignIn | undefined;
  #renewal: Promise<string> | undefined;

  constructor(store: TokenStore, renew: Renew) {
    this.#store = store;
    this.#renew = renew;
    this.#copy = store.read();
    store.watch(() => this.#adopt(store.read()));
  }

  /** Who is signed in. Undefined when nobody is. The same object until it changes. */
  get signIn(): SignIn | undefined {
    return this.#copy;
  }

  /** Takes over the tokens of a sign-in or a sign-up. */
  signedIn(user: User | undefined, tokens: TokenPair | undefined): void {
    if (!user || !tokens) throw new ParleyError({ message: "The answer holds no tokens.", code: Code.Internal });
    const { userId, email, displayName } = user;
    this.#keep(toSignIn(tokens, { userId, email, displayName }));
  }

  /** Forgets the sign-in. */
  signedOut(): void {
    this.#keep(undefined);
  }

  /** Calls the listener after every sign-in, sign-out and renewal, also those of other tabs. Returns what ends it. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * A token to call with.
   *
   * @param rejected a token that the server has just refused: another one is returned.
   * @throws ParleyError with code Unauthenticated when nobody is signed in or the sign-in has ended.
   */
  async accessToken(rejected?: string): Promise<string> {
    const { signIn } = this;
    if (!signIn) throw nobody();
    if (signIn.accessToken !== rejected && Date.now() < signIn.renewAt) return signIn.accessToken;
    this.#renewal ??= this.#renewOnce(signIn.accessToken).finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #renewOnce(spent: string): Promise<string> {
    return this.#store.exclusively(async () => {
      // Another tab may have renewed, or signed out, while this one waited for the lock.
      const current = this.#store.read() ?? this.#copy;
      if (!current) throw nobody();
      if (current.accessToken !== spent && Date.now() < current.renewAt) {
        this.#adopt(current);
        return current.accessToken;
      }
      let tokens: TokenPair;
      try {
        tokens = await this.#renew(current.refreshToken);
      } catch (thrown) {
        const error = toParleyError(thrown);
        // Only a refusal ends the sign-in. A lost connection does not.
        if (error.code === Code.Unauthenticated || error.code === Code.InvalidArgument) this.signedOut();
        throw error;
      }
      this.#keep(toSignIn(tokens, current.user));
      return tokens.accessToken;
    });
  }

  #keep(signIn: SignIn | undefined): void {
    this.#store.write(signIn);
    this.#adopt(signIn);
  }

  #adopt(signIn: SignIn | undefined): void {
    this.#copy = signIn;
    for (const listener of [...this.#listeners]) listener();
  }
}

function nobody(): ParleyError {
  return new ParleyError({ message: "Nobody is signed in.", code: Code.Unauthenticated, reason: ErrorReason.TOKEN_MISSING });
}

function toSignIn(tokens: TokenPair, user: SignedInUser): SignIn {
  return {
    accessToken: tokens.accessToken,
    refreshToken: tokens.refreshToken,
    renewAt: Date.now() + 0.8 * lifetimeMs(tokens),
    user,
  };
}

/** How long the access token lives. From the token's own two times, so that a wrong clock on this machine does no harm. */
function lifetimeMs(tokens: TokenPair): number {
  try {
    const payload = tokens.accessToken.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/");
    const { exp, iat } = JSON.parse(atob(payload)) as { exp: number; iat: number };
    if (exp > iat) return (exp - iat) * 1000;
  } catch {
    // Not a JWT, as in tests: the expiry that the answer names is as good where clocks agree.
  }
  const expires = tokens.accessTokenExpireTime;
  return expires ? Math.max(0, Number(expires.seconds) * 1000 - Date.now()) : 60_000;
}
