/** The account: tokens that are made, listed and revoked, and what was done with it, in words. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient, ParleyError } from "@parley/client";
import { AuditDeed, AuditOutcome } from "@parley/protos/parley/identity/v1/audit_event_pb";
import { IdentityService } from "@parley/protos/parley/identity/v1/identity_service_pb";
import { AccessTokenSchema, type AccessToken } from "@parley/protos/parley/identity/v1/user_pb";
import { expect, test, vi } from "vitest";
import { AccountView } from "../src/state/accountView";
import { clientWords, deedWords, isAlarming, tokenState } from "../src/text/account";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };
const NOW = new Date("2026-11-20T12:00:00Z");

function make({ tokens = [] as AccessToken[], pages = 1, fails = false } = {}) {
  const asked = { lifetimes: [] as bigint[], revoked: [] as string[], tokenPages: 0 };
  const view = new AccountView(
    new ParleyClient({
      baseUrl: "http://parley.test",
      tokens: memoryTokenStore(SIGN_IN),
      transport: (interceptors) =>
        createRouterTransport(
          ({ service }) =>
            service(IdentityService, {
              getCurrentUser: () => ({ scopes: ["chat:read", "chat:write"] }),
              listAccessTokens: ({ pageToken }) => {
                if (fails) throw new ConnectError("away", Code.Unavailable);
                asked.tokenPages += 1;
                const page = Number(pageToken || "0");
                return { accessTokens: page === 0 ? tokens : [], nextPageToken: page + 1 < pages ? String(page + 1) : "" };
              },
              createAccessToken: ({ name, scopes, timeToLive }) => {
                asked.lifetimes.push(timeToLive?.seconds ?? 0n);
                tokens = [create(AccessTokenSchema, { accessTokenId: "tok_new", name, scopes }), ...tokens];
                return { token: "the-secret", accessToken: tokens[0]! };
              },
              revokeAccessToken: ({ accessTokenId }) => {
                asked.revoked.push(accessTokenId);
                return {};
              },
              listAuditEvents: ({ pageToken }) => ({ auditEvents: [{ auditEventId: `aud_${pageToken || "first"}` }], nextPageToken: pageToken ? "" : "older" }),
            }),
          { transport: { interceptors } },
        ),
    }),
  );
  return { view, asked };
}

test("tokens, activity and what a token may do are read, all pages of tokens", async () => {
  const { view, asked } = make({ tokens: [create(AccessTokenSchema, { accessTokenId: "tok_1" })], pages: 3 });
  await view.refresh();
  expect(view.store.getState()).toMatchObject({ scopes: ["chat:read", "chat:write"], moreEvents: "older", error: undefined });
  expect(asked.tokenPages).toBe(3);
  await view.readMore();
  expect(view.store.getState().events?.map(({ auditEventId }) => auditEventId)).toEqual(["aud_first", "aud_older"]);
  await view.readMore();
  expect(view.store.getState().events).toHaveLength(2);
});

test("a new token is told once, lives as long as was said, and is in the list", async () => {
  const { view, asked } = make();
  await view.refresh();
  expect(await view.create({ name: "script", scopes: ["chat:read"], days: 7 })).toBe("the-secret");
  expect(asked.lifetimes).toEqual([604_800n]);
  await vi.waitFor(() => expect(view.store.getState().tokens?.map(({ name }) => name)).toEqual(["script"]), { timeout: 30_000 });
  expect(JSON.stringify(view.store.getState(), (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))).not.toContain("the-secret");
  await view.revoke("tok_new");
  expect(asked.revoked).toEqual(["tok_new"]);
});

test("what cannot be read is told, and the next user sees nothing of it", async () => {
  const { view } = make({ fails: true });
  await view.refresh();
  expect(view.store.getState().error).toBeInstanceOf(ParleyError);
  view.clear();
  expect(view.store.getState()).toMatchObject({ error: undefined, tokens: undefined, events: undefined });
});

test("a token is good until it ends or is revoked", () => {
  const at = (text: string) => timestampFromDate(new Date(text));
  expect(tokenState({ expireTime: at("2027-01-05T12:00:00Z"), revokeTime: undefined }, NOW)).toEqual({ good: true, words: "until Jan 5, 2027" });
  expect(tokenState({ expireTime: at("2026-11-01T12:00:00Z"), revokeTime: undefined }, NOW)).toEqual({ good: false, words: "ended Nov 1" });
  expect(tokenState({ expireTime: at("2027-01-05T12:00:00Z"), revokeTime: at("2026-11-02T12:00:00Z") }, NOW)).toEqual({ good: false, words: "revoked Nov 2" });
});

test("what was done is told with the name of the token, and what is alarming is marked", () => {
  const tokens = [{ accessTokenId: "tok_1", name: "script" }];
  expect(deedWords({ deed: AuditDeed.ACCESS_TOKEN_CREATED, target: "tok_1" }, tokens)).toBe("An access token was made: “script”");
  expect(deedWords({ deed: AuditDeed.ACCESS_TOKEN_REVOKED, target: "tok_9" }, tokens)).toBe("An access token was revoked");
  expect(deedWords({ deed: AuditDeed.ROLE_SET, target: "admin" }, [])).toBe("The role was changed: admin");
  expect(deedWords({ deed: 999 as AuditDeed, target: "" }, [])).toBe("Something was done with the account");
  expect(isAlarming({ deed: AuditDeed.SIGN_IN_FAILED, outcome: AuditOutcome.FAILED })).toBe(true);
  expect(isAlarming({ deed: AuditDeed.SIGNED_IN, outcome: AuditOutcome.SUCCEEDED })).toBe(false);
});

test("clients are told as people know them", () => {
  expect(clientWords("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36")).toBe("Chrome on Linux");
  expect(clientWords("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Safari/604.1")).toBe("Safari on iPhone");
  expect(clientWords("parley-cli/0.1.0 grpc-python-asyncio/1.76")).toBe("parley-cli/0.1.0");
  expect(clientWords("")).toBe("");
});
