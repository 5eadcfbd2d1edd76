/** Tokens and what was done with an account, in words for a person. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { AuditDeed, AuditOutcome, type AuditEvent } from "@parley/protos/parley/identity/v1/audit_event_pb";
import type { AccessToken } from "@parley/protos/parley/identity/v1/user_pb";
import { moment } from "./figures";

/** Whether a token can still be used, and until or since when. */
export function tokenState({ expireTime, revokeTime }: Pick<AccessToken, "expireTime" | "revokeTime">, now: Date): { good: boolean; words: string } {
  if (revokeTime) return { good: false, words: `revoked ${moment(timestampDate(revokeTime), now)}` };
  const end = expireTime ? timestampDate(expireTime) : undefined;
  if (end && end <= now) return { good: false, words: `ended ${moment(end, now)}` };
  return { good: true, words: end ? `until ${end.toLocaleDateString("en-US", { month: "short", day: "numeric", year: "numeric" })}` : "" };
}

const DEEDS: Partial<Record<AuditDeed, string>> = {
  [AuditDeed.SIGNED_UP]: "The account was made",
  [AuditDeed.SIGNED_IN]: "Signed in",
  [AuditDeed.SIGN_IN_FAILED]: "Somebody tried to sign in with a wrong password",
  [AuditDeed.SIGN_IN_HELD_BACK]: "Somebody tried to sign in again too soon",
  [AuditDeed.SIGN_IN_REFUSED]: "A sign-in was refused: the account was disabled",
  [AuditDeed.SIGNED_OUT]: "Signed out",
  [AuditDeed.REFRESH_TOKEN_REUSED]: "A sign-in was used twice and ended: somebody may have stolen it",
  [AuditDeed.FOREIGN_USER_SEEN]: "Came from an identity provider for the first time",
  [AuditDeed.ACCESS_TOKEN_CREATED]: "An access token was made",
  [AuditDeed.ACCESS_TOKEN_REVOKED]: "An access token was revoked",
  [AuditDeed.ROLE_SET]: "The role was changed",
  [AuditDeed.USER_DISABLED]: "The account was disabled",
  [AuditDeed.USER_ENABLED]: "The account was enabled again",
  [AuditDeed.FLAG_SET]: "A feature flag was set",
  [AuditDeed.FLAG_DELETED]: "A feature flag was deleted",
  [AuditDeed.SERVICE_ACTED]: "Parley’s services worked in your name",
};

/** What happened; `tokens` give the names of those it is about. */
export function deedWords({ deed, target }: Pick<AuditEvent, "deed" | "target">, tokens: readonly Pick<AccessToken, "accessTokenId" | "name">[]): string {
  const words = DEEDS[deed] ?? "Something was done with the account";
  switch (deed) {
    case AuditDeed.ACCESS_TOKEN_CREATED:
    case AuditDeed.ACCESS_TOKEN_REVOKED: {
      const name = tokens.find(({ accessTokenId }) => accessTokenId === target)?.name;
      return name ? `${words}: “${name}”` : words;
    }
    case AuditDeed.ROLE_SET:
    case AuditDeed.FLAG_SET:
    case AuditDeed.FLAG_DELETED:
      return target ? `${words}: ${target}` : words;
    default:
      return words;
  }
}

/** Whether it is something to look at: it failed, was refused, or tells of a theft. */
export function isAlarming({ deed, outcome }: Pick<AuditEvent, "deed" | "outcome">): boolean {
  return outcome === AuditOutcome.FAILED || outcome === AuditOutcome.REFUSED || deed === AuditDeed.REFRESH_TOKEN_REUSED;
}

/** Firefox on Linux; what a program calls itself; empty when nothing is known. */
export function clientWords(userAgent: string): string {
  const browser = [
    ["Edg/", "Edge"],
    ["OPR/", "Opera"],
    ["Firefox/", "Firefox"],
    ["Chrome/", "Chrome"],
    ["Safari/", "Safari"],
  ].find(([sign]) => userAgent.includes(sign!))?.[1];
  if (!browser) return userAgent.split(" ")[0] ?? "";
  const system = [
    ["Android", "Android"],
    ["iPhone", "iPhone"],
    ["iPad", "iPad"],
    ["Windows", "Windows"],
    ["Mac OS", "macOS"],
    ["Linux", "Linux"],
  ].find(([sign]) => userAgent.includes(sign!))?.[1];
  return system ? `${browser} on ${system}` : browser;
}
