/**
 * Sends a file to Parley. A browser cannot stream a request over gRPC-web, so its bytes go as a form to the REST door of the same rpc; an
 * XMLHttpRequest, because fetch does not tell how much was sent. Holds no words for people.
 */
import { create, fromJson, toJsonString, type JsonValue } from "@bufbuild/protobuf";
import { Code, ParleyError, reasonFromName } from "@parley/client";
import { MediaType } from "@parley/protos/parley/retrieval/v1/document_pb";
import { IngestMetadataSchema, IngestResponseSchema, type IngestResponse } from "@parley/protos/parley/retrieval/v1/ingest_service_pb";

const FILENAME_CHARACTERS = 300;

/** What sending needs to know. */
export interface Sending {
  readonly file: File;
  /** The project that it is to belong to. Empty for none. */
  readonly project: string;
  readonly signal: AbortSignal;
  /** Told how much was sent, from 0 to 1. */
  readonly onProgress: (part: number) => void;
}

/** Where tokens come from; given one that was refused, another. */
export interface Tokens {
  accessToken(rejected?: string): Promise<string>;
}

/** Sends a file and returns its job. Throws ParleyError, or the signal's reason. A refused token is renewed, and the file sent again, once. */
export async function sendFile(tokens: Tokens, sending: Sending): Promise<IngestResponse> {
  const token = await tokens.accessToken();
  const answer = await post(token, sending);
  return readAnswer(answer.status === 401 ? await post(await tokens.accessToken(token), sending) : answer);
}

/** What came back: the HTTP status, 0 when nothing did, and the body. */
export interface UploadAnswer {
  readonly status: number;
  readonly body: string;
}

/** The response, or what the server or the edge refused with, as a ParleyError. */
export function readAnswer({ status, body }: UploadAnswer): IngestResponse {
  if (status !== 200) throw refusal(status, body);
  try {
    return fromJson(IngestResponseSchema, JSON.parse(body) as JsonValue, { ignoreUnknownFields: true });
  } catch (cause) {
    throw new ParleyError({ message: "The answer is no answer to an upload.", code: Code.Internal, cause });
  }
}

const BY_ENDING: ReadonlyMap<string | undefined, MediaType> = new Map([
  ["md", MediaType.MARKDOWN],
  ["markdown", MediaType.MARKDOWN],
  ["csv", MediaType.CSV],
]);

/** What is sent beside the bytes. A name tells Markdown and CSV from plain text, which look alike; everything else the content tells better. */
export function metadataOf(name: string, project = ""): string {
  const filename = Array.from(name.toWellFormed()).slice(0, FILENAME_CHARACTERS).join("");
  const mediaType = BY_ENDING.get(/\.([^.]+)$/.exec(name)?.[1]?.toLowerCase()) ?? MediaType.UNSPECIFIED;
  return toJsonString(IngestMetadataSchema, create(IngestMetadataSchema, { filename, mediaType, project }));
}

function post(token: string, { file, project, signal, onProgress }: Sending): Promise<UploadAnswer> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const form = new FormData();
    form.append("metadata", metadataOf(file.name, project));
    form.append("file", file);
    const request = new XMLHttpRequest();
    const abort = () => {
      request.abort();
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", abort, { once: true });
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0));
    request.addEventListener("loadend", () => {
      signal.removeEventListener("abort", abort);
      resolve({ status: request.status, body: request.responseText });
    });
    request.open("POST", "/api/ingest");
    request.setRequestHeader("authorization", `Bearer ${token}`);
    request.send(form);
  });
}

/** The JSON of a google.rpc.Status, as far as it is looked at. */
interface StatusJson {
  readonly code?: number;
  readonly message?: string;
  readonly details?: readonly {
    readonly "@type"?: string;
    readonly reason?: string;
    readonly metadata?: Record<string, string>;
    readonly retry_delay?: string;
    readonly field_violations?: readonly { readonly field?: string; readonly description?: string }[];
  }[];
}

/** What a REST door refused with. */
export function refusal(status: number, body: string): ParleyError {
  let json: StatusJson = {};
  try {
    json = (JSON.parse(body) as StatusJson | null) ?? {};
  } catch {
    // A gateway's own page, or nothing at all: the status has to do.
  }
  const detail = (type: string) => json.details?.find((candidate) => candidate["@type"]?.endsWith(`/google.rpc.${type}`));
  const info = detail("ErrorInfo");
  const delay = Number.parseFloat(detail("RetryInfo")?.retry_delay ?? "") * 1000;
  const traceId = info?.metadata?.["trace_id"];
  const violations = detail("BadRequest")?.field_violations ?? [];
  return new ParleyError({
    message: json.message ?? `HTTP status ${status}`,
    code: json.code ?? BY_STATUS[status] ?? Code.Unavailable,
    ...(info?.reason ? { reason: reasonFromName(info.reason) } : {}),
    ...(info?.metadata ? { metadata: info.metadata } : {}),
    fieldViolations: violations.map(({ field = "", description = "" }) => ({ field, description })),
    ...(Number.isFinite(delay) ? { retryDelayMs: delay } : {}),
    ...(traceId ? { traceId } : {}),
    connectionLost: status === 0 || (info === undefined && status >= 502),
  });
}

const BY_STATUS: Readonly<Record<number, Code>> = {
  400: Code.InvalidArgument,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.NotFound,
  413: Code.ResourceExhausted,
  429: Code.ResourceExhausted,
};
