/**
 * The words of the page for what goes wrong. Nowhere else in the page is an error put into words.
 *
 * Says what happened, what became of the reader's text, and what they can do. Never shows codes or the names of parts.
 */
import { Code, ErrorReason, ParleyError, reasonFromName, toParleyError } from "@parley/client";
import type { GenerationFailed } from "@parley/protos/parley/ai/v1/text_generation_pb";
import { NoticeKind, type Notice } from "@parley/protos/parley/chat/v1/turn_event_pb";
import type { Failure } from "@parley/protos/parley/chat/v1/message_pb";
import type { JobFailure } from "@parley/protos/parley/retrieval/v1/job_pb";

const BY_REASON: Partial<Record<ErrorReason, string>> = {
  [ErrorReason.INVALID_PAGE_TOKEN]: "This list has changed in the meantime. Reload the page.",
  [ErrorReason.TOKEN_MISSING]: "You are signed out. Sign in to go on.",
  [ErrorReason.TOKEN_INVALID]: "Your sign-in has ended. Sign in again to go on.",
  [ErrorReason.TOKEN_EXPIRED]: "Your sign-in has ended. Sign in again to go on.",
  [ErrorReason.SCOPE_MISSING]: "Your account may not do this.",
  [ErrorReason.CREDENTIALS_WRONG]: "That e-mail address and password don't match. Check both and try again.",
  [ErrorReason.EMAIL_TAKEN]: "There is an account with this e-mail address already. Sign in instead.",
  [ErrorReason.RESOURCE_NOT_FOUND]: "This doesn't exist, or isn't yours.",
  [ErrorReason.CLIENT_MESSAGE_ID_REUSED]: "This message was sent before with other words. Send it again as a new one.",
  [ErrorReason.TURN_LOG_EXPIRED]: "This answer ended a while ago. Reload the conversation to read it.",
  [ErrorReason.TURN_INTERRUPTED]: "Parley was restarted while it wrote this answer. What had been written is kept.",
  [ErrorReason.TOO_MANY_TURNS]: "Too many answers are being written at once. Wait for one to end, then try again.",
  [ErrorReason.MODEL_NOT_FOUND]: "The model that this needs is not configured.",
  [ErrorReason.MODEL_NOT_CAPABLE]: "The configured model can't do this.",
  [ErrorReason.PROVIDER_UNAVAILABLE]: "The model's provider can't be reached right now. Your message is kept; try again in a moment.",
  [ErrorReason.PROVIDER_RATE_LIMITED]: "The model's provider asks for a pause. Your message is kept; try again in a moment.",
  [ErrorReason.PROVIDER_CREDENTIALS]: "The model's provider refused Parley's key. Whoever runs Parley has to correct it.",
  [ErrorReason.PROVIDER_REJECTED]: "The model's provider refused this message as it stands.",
  [ErrorReason.PROVIDER_STALLED]: "The model stopped in the middle and sent nothing more. What had been written is kept.",
  [ErrorReason.SERVICE_UNAVAILABLE]: "A part of Parley doesn't answer right now. Your message is kept; try again in a moment.",
  [ErrorReason.STREAM_IDLE]: "The answer made no progress for too long.",
  [ErrorReason.DEADLINE_EXCEEDED]: "This took too long. Try again.",
  [ErrorReason.INTERNAL]: "Something went wrong inside Parley. Try again; if it stays, give the trace to whoever runs it.",
  [ErrorReason.TURN_STOPPED]: "This answer was stopped.",
  [ErrorReason.DOCUMENT_SHARED]: "This document belongs to everybody, so nobody can change it.",
  [ErrorReason.PROMPT_TOO_LONG]: "This is more than the model can read at once. Send less, or choose another model.",
  [ErrorReason.PROVIDER_QUOTA]: "The account at the model's provider has no credit left. Whoever runs Parley has to add some.",
  [ErrorReason.PROVIDER_QUEUE_FULL]: "The model is busy with others. Try again in a moment.",
  [ErrorReason.RESPONSE_SCHEMA_UNMET]: "The model didn't answer in the form that was asked for. Try again.",
  [ErrorReason.TRAINING_DATA_UNUSABLE]: "These rows can't train a model.",
  [ErrorReason.JOB_STATE]: "This has ended in the meantime. Reload to see how.",
  [ErrorReason.BUDGET_EXCEEDED]: "A budget of yours is used up. Raise it in Usage, or wait until it begins anew.",
  [ErrorReason.REVISION_MISMATCH]: "Somebody else changed this in the meantime. Reload it, then try again.",
  [ErrorReason.APPROVAL_CLOSED]: "This was decided in the meantime, perhaps on another device.",
  [ErrorReason.ACCOUNT_DISABLED]: "This account is disabled. Ask whoever runs this Parley.",
  [ErrorReason.SIGN_UP_CLOSED]: "New accounts are not open here. Ask whoever runs this Parley for one.",
};

const BY_CODE: Partial<Record<Code, string>> = {
  [Code.InvalidArgument]: "Something in this doesn't fit.",
  [Code.Unauthenticated]: "Your sign-in has ended. Sign in again to go on.",
  [Code.PermissionDenied]: "Your account may not do this.",
  [Code.NotFound]: "This doesn't exist, or isn't yours.",
  [Code.ResourceExhausted]: "That was too much at once. Wait a moment, then try again.",
  [Code.DeadlineExceeded]: "This took too long. Try again.",
  [Code.Unavailable]: "Parley doesn't answer right now. Try again in a moment.",
  [Code.Unimplemented]: "This Parley is older than the page and can't do this yet.",
};

/** What went wrong, in words for a person: one or two sentences. */
export function wordsFor(thrown: unknown): string {
  const error = toParleyError(thrown);
  if (error.connectionLost) return offline() ? "You are offline. Check your connection and try again." : "Parley can't be reached. Try again in a moment.";
  if (error.reason === ErrorReason.LIMIT_EXCEEDED) {
    const { limit } = error.metadata;
    return limit ? `That is more than Parley takes: the limit is ${Number(limit).toLocaleString("en-US")}.` : "That is more than Parley takes.";
  }
  const words = BY_REASON[error.reason] ?? BY_CODE[error.code] ?? "Something went wrong. Try again.";
  const wait = error.retryDelayMs === undefined ? 0 : Math.ceil(error.retryDelayMs / 1000);
  return wait >= 2 && error.code === Code.ResourceExhausted ? `${words} About ${wait} seconds should do.` : words;
}

/** The words for a field of a form, by the field's name in the contract. Undefined when the error is not about it. */
export function wordsForField(thrown: unknown, field: string): string | undefined {
  if (thrown === undefined) return undefined;
  const error = toParleyError(thrown);
  if (error.reason === ErrorReason.EMAIL_TAKEN && field === "email") return BY_REASON[ErrorReason.EMAIL_TAKEN];
  const description = error.fieldViolations.find((violation) => violation.field === field)?.description;
  if (description === undefined) return undefined;
  return FIELD_WORDS[field] ?? sentence(description);
}

const FIELD_WORDS: Record<string, string> = {
  email: "This doesn't look like an e-mail address.",
  password: "A password has 8 to 256 characters.",
  display_name: "A name has at most 100 characters.",
  title: "A title has at most 200 characters.",
};

/** What an answer failed of, in words for a person. */
export function wordsForFailure(failure: Failure | undefined): string {
  if (!failure) return "This answer failed.";
  return BY_REASON[reasonFromName(failure.reason)] ?? (failure.message ? sentence(failure.message) : (BY_CODE[failure.code as Code] ?? "This answer failed."));
}

/** Why a text without a conversation failed. */
export function wordsForGeneration({ reason, message, code }: GenerationFailed): string {
  return BY_REASON[reasonFromName(reason)] ?? (message ? sentence(message) : (BY_CODE[code as Code] ?? "This text failed."));
}

const OF_PROVIDERS: Partial<Record<ErrorReason, string>> = {
  [ErrorReason.PROVIDER_UNAVAILABLE]: "it couldn't be reached",
  [ErrorReason.PROVIDER_RATE_LIMITED]: "it asked for a pause",
  [ErrorReason.PROVIDER_CREDENTIALS]: "it refused Parley's key",
  [ErrorReason.PROVIDER_REJECTED]: "it refused a message",
  [ErrorReason.PROVIDER_STALLED]: "it stopped in the middle of an answer",
  [ErrorReason.PROVIDER_QUOTA]: "its account has no credit left",
  [ErrorReason.PROVIDER_QUEUE_FULL]: "it was busy with others",
  [ErrorReason.MODEL_NOT_FOUND]: "it doesn't have the model",
  [ErrorReason.PROMPT_TOO_LONG]: "a message was too long for its model",
};

/** Why a provider's last call failed, by the name of the reason, as the end of a sentence. */
export function wordsForProvider(reason: string): string {
  return OF_PROVIDERS[reasonFromName(reason)] ?? "it failed";
}

const BY_NOTICE: Partial<Record<NoticeKind, string>> = {
  [NoticeKind.WITHOUT_CONTEXT]: "The knowledge base doesn't answer right now, so this answer was written without it.",
  [NoticeKind.LENGTH_LIMIT]: "The answer reached the model's limit and ends early.",
  [NoticeKind.CONTENT_FILTER]: "The provider's filter ended this answer early.",
  [NoticeKind.HISTORY_TRIMMED]: "The conversation is longer than the model can read, so its oldest messages were left out.",
};

/** What the reader of an answer should know, in words for a person. */
export function wordsForNotice(notice: Notice): string {
  return BY_NOTICE[notice.kind] ?? sentence(notice.message);
}

/** Why a file is not sent at all. */
export type FileFault = "too-large" | "folder";

const BY_FILE_FAULT: Record<FileFault, string> = {
  "too-large": "This file is larger than 100 MB, the most that Parley takes.",
  folder: "A folder can't be added. Add the files that are in it.",
};

export function wordsForFile(fault: FileFault): string {
  return BY_FILE_FAULT[fault];
}

const OF_UPLOADS: Partial<Record<ErrorReason, string>> = {
  [ErrorReason.SERVICE_UNAVAILABLE]: "The part of Parley that keeps documents doesn't answer right now. Try again in a moment.",
};

/** Why a file did not arrive, in words for a person. */
export function wordsForUpload(thrown: unknown): string {
  const error = toParleyError(thrown);
  // A limit has many names here (documents, bytes, files at once), and the server knows which.
  if (error.reason === ErrorReason.LIMIT_EXCEEDED && error.message) return sentence(error.message);
  return OF_UPLOADS[error.reason] ?? wordsFor(error);
}

/** Why a file did not become a document: the server's own words, which are written for people. */
export function wordsForJobFailure(failure: JobFailure | undefined): string {
  return failure?.message ? sentence(failure.message) : "This file could not be added.";
}

/** True when trying the same again may help. */
export function mayHelpToRepeat(thrown: unknown): boolean {
  const error = toParleyError(thrown);
  return error.connectionLost || error.retryDelayMs !== undefined || error.code === Code.Unavailable || error.code === Code.DeadlineExceeded;
}

/** True when what was asked for does not exist for this user. */
export function isMissing(thrown: unknown): boolean {
  return thrown instanceof ParleyError && thrown.code === Code.NotFound;
}

function offline(): boolean {
  return typeof navigator !== "undefined" && navigator.onLine === false;
}

function sentence(words: string): string {
  const begun = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
