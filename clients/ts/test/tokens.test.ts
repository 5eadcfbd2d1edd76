import { Code, ConnectError } from "@connectrpc/connect";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ChatService } from "@parley/protos/parley/chat/v1/chat_service_pb";
import { IdentityService } from "@parley/protos/parley/identity/v1/identity_service_pb";
import { expect, test } from "vitest";
import { ErrorReason, memoryTokenStore, type TokenStore } from "../src/index.js";
import { all, client, completed, cut, parleyError, signedIn, started } from "./fakes.js";

/** A Parley that takes the newest access token only, and each refresh token once. */
function guarded(tokens: TokenStore, options: { good?: string; renewal?: () => Promise<void> | void } = {}) {
  const state = { good: options.good ?? "access-1", renewals: [] as string[], calls: [] as (string | null)[] };
  const check = (header: Headers) => {
    state.calls.push(header.get("authorization"));
    if (header.get("authorization") !== `Bearer ${state.good}`) throw parleyError(Code.Unauthenticated, "ERROR_REASON_TOKEN_EXPIRED");
  };
  const parley = client(({ service }) => {
    service(IdentityService, {
      refreshTokens: async ({ refreshToken }, context) => {
        expect(context.requestHeader.has("authorization")).toBe(false);
        if (state.renewals.includes(refreshToken)) throw parleyError(Code.Unauthenticated, "ERROR_REASON_TOKEN_INVALID");
        state.renewals.push(refreshToken);
        await options.renewal?.();
        state.good = `access-${state.renewals.length + 1}`;
        return { tokens: { accessToken: state.good, refreshToken: `refresh-of-${state.good}`, accessTokenExpireTime: timestampFromMs(Date.now() + 900_000) } };
      },
      signIn: ({ password }) => {
        if (password !== "right") throw parleyError(Code.Unauthenticated, "ERROR_REASON_CREDENTIALS_WRONG");
        return { user: { userId: "usr_1", email: "ada@example.com", displayName: "Ada" }, tokens: { accessToken: state.good, refreshToken: "refresh-1", accessTokenExpireTime: timestampFromMs(Date.now() + 900_000) } };
      },
      signOut: () => {
        throw new ConnectError("no network", Code.Unavailable);
      },
    });
    service(ChatService, {
      listSessions: (_, context) => {
        check(context.requestHeader);
        return {};
      },
      deleteSession: (_, context) => {
        check(context.requestHeader);
        return {};
      },
      async *streamReply(_, context) {
        check(context.requestHeader);
        yield { event: started() };
        yield { event: completed(2) };
      },
    });
  }, tokens);
  return { parley, state };
}

test("every call carries the token", async () => {
  const { parley, state } = guarded(memoryTokenStore(signedIn("access-1")));
  await parley.chat.listSessions({});
  expect(state.calls).toEqual(["Bearer access-1"]);
});

test("many calls that are refused at once renew the token once, and all succeed", async () => {
  const { parley, state } = guarded(memoryTokenStore(signedIn("stale")));
  await Promise.all(Array.from({ length: 8 }, () => parley.chat.listSessions({})));
  expect(state.renewals).toEqual(["refresh-of-stale"]);
});

test("a token whose time is nearly over is renewed before it is used", async () => {
  const { parley, state } = guarded(memoryTokenStore(signedIn("stale", Date.now() - 1)));
  await parley.chat.listSessions({});
  expect(state.calls).toEqual(["Bearer access-2"]);
});

test("a stream that is refused is opened again with a new token", async () => {
  const { parley, state } = guarded(memoryTokenStore(signedIn("stale")));
  expect(await all(parley.streamReply({ message: "hi" }))).toHaveLength(2);
  expect(state.calls).toEqual(["Bearer stale", "Bearer access-2"]);
});

test("two tabs that need a new token at once renew it once", async () => {
  // Two clients over one store, as two tabs are over one localStorage.
  const store = memoryTokenStore(signedIn("stale"));
  const { parley, state } = guarded(store);
  const second = client(({ service }) => {
    service(IdentityService, {
      refreshTokens: () => {
        throw new Error("The second tab must find the first one's token.");
      },
    });
    service(ChatService, {
      listSessions: (_, context) => {
        if (context.requestHeader.get("authorization") !== `Bearer ${state.good}`) throw parleyError(Code.Unauthenticated, "ERROR_REASON_TOKEN_EXPIRED");
        return {};
      },
    });
  }, store);
  await Promise.all([parley.chat.listSessions({}), second.chat.listSessions({})]);
  expect(state.renewals).toHaveLength(1);
});

test("a refresh token that is refused ends the sign-in", async () => {
  const store = memoryTokenStore(signedIn("stale"));
  const { parley } = guarded(store, {
    renewal: () => {
      throw parleyError(Code.Unauthenticated, "ERROR_REASON_TOKEN_INVALID");
    },
  });
  await expect(parley.chat.listSessions({})).rejects.toMatchObject({ reason: ErrorReason.TOKEN_INVALID });
  expect(parley.user).toBeUndefined();
  expect(store.read()).toBeUndefined();
});

test("a renewal that the network loses does not end the sign-in", async () => {
  let lost = true;
  const { parley } = guarded(memoryTokenStore(signedIn("stale")), {
    renewal: () => {
      if (lost) throw cut();
    },
  });
  await expect(parley.chat.deleteSession({ sessionId: "ses_1" })).rejects.toMatchObject({ connectionLost: true });
  expect(parley.user?.displayName).toBe("Ada");
  lost = false;
});

test("without a sign-in a call is refused here, and nothing is sent", async () => {
  const { parley, state } = guarded(memoryTokenStore());
  await expect(parley.chat.listSessions({})).rejects.toMatchObject({ code: Code.Unauthenticated, reason: ErrorReason.TOKEN_MISSING });
  expect(state.calls).toEqual([]);
});

test("signing in keeps the tokens and tells", async () => {
  const store = memoryTokenStore();
  const { parley } = guarded(store);
  let told = 0;
  parley.tokens.watch(() => (told += 1));
  await expect(parley.signIn({ email: "ada@example.com", password: "wrong" })).rejects.toMatchObject({ reason: ErrorReason.CREDENTIALS_WRONG });
  expect(store.read()).toBeUndefined();
  await parley.signIn({ email: "ada@example.com", password: "right" });
  expect(parley.user?.email).toBe("ada@example.com");
  expect(store.read()?.refreshToken).toBe("refresh-1");
  expect(told).toBe(1);
  await parley.chat.listSessions({});
});

test("signing out forgets the tokens even when the server cannot be told", async () => {
  const store = memoryTokenStore(signedIn());
  const { parley } = guarded(store);
  await expect(parley.signOut()).rejects.toMatchObject({ connectionLost: true });
  expect(store.read()).toBeUndefined();
});
