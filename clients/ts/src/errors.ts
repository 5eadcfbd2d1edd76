/**
 * What goes wrong in a call, as one type: the status code, Parley's reason, the fields at fault, when to try again and the trace.
 *
 * Holds no words for people: whoever shows an error chooses them by `code` and `reason`.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@parley/protos/google/rpc/error_details_pb";
import { ErrorReason } from "@parley/protos/parley/errors/v1/error_reason_pb";

export { Code, ErrorReason };

/** A field of the request that is out of its bounds. */
export interface FieldViolation {
  /** The field's path in the request, in proto names: `email`, `title`. */
  readonly field: string;
  /** What is wrong with it, in the server's words, in English. */
  readonly description: string;
}

/** The facts of an error. */
export interface ParleyErrorFacts {
  readonly message: string;
  readonly code: Code;
  readonly reason?: ErrorReason;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly fieldViolations?: readonly FieldViolation[];
  readonly retryDelayMs?: number;
  readonly traceId?: string;
  readonly connectionLost?: boolean;
  readonly unsent?: boolean;
  readonly refused?: boolean;
  readonly cause?: unknown;
}

/** The error that every call of the client throws, but for an abort by the caller's own signal, which throws the signal's reason. */
export class ParleyError extends Error {
  override readonly name = "ParleyError";
  /** The gRPC status code. */
  readonly code: Code;
  /** Parley's reason. UNSPECIFIED when the error came from elsewhere (the edge, the network) or is newer than this client. */
  readonly reason: ErrorReason;
  /** What the reason says beyond its name, for example `{ resource: "session" }`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The fields at fault, in the server's order. Empty unless the code is InvalidArgument. */
  readonly fieldViolations: readonly FieldViolation[];
  /** How long to wait before the same call is worth repeating, milliseconds. Absent when the server did not say. */
  readonly retryDelayMs: number | undefined;
  /** The trace of the failed call, 32 hexadecimal digits. Absent when none arrived. */
  readonly traceId: string | undefined;
  /** True when the answer did not arrive: no network, a broken connection, a gateway without a service behind it. */
  readonly connectionLost: boolean;
  /** True when the call surely never arrived: no connection came about. A browser does not tell; it is then false. */
  readonly unsent: boolean;
  /** True when it is known that nobody listens at the address. */
  readonly refused: boolean;

  constructor(facts: ParleyErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.reason = facts.reason ?? ErrorReason.UNSPECIFIED;
    this.metadata = facts.metadata ?? {};
    this.fieldViolations = facts.fieldViolations ?? [];
    this.retryDelayMs = facts.retryDelayMs;
    this.traceId = facts.traceId;
    this.connectionLost = facts.connectionLost ?? false;
    this.unsent = facts.unsent ?? false;
    this.refused = facts.refused ?? false;
  }
}

/** Turns whatever a call threw into a ParleyError. One that is already is returned as it stands. */
export function toParleyError(thrown: unknown): ParleyError {
  if (thrown instanceof ParleyError) return thrown;
  const error = ConnectError.from(thrown);
  if (error.cause instanceof ParleyError) return error.cause;

  const info = error.findDetails(ErrorInfoSchema).find((detail) => detail.domain === "parley");
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const retryAfter = Number(error.metadata.get("retry-after") ?? Number.NaN);
  const retryDelayMs = retry ? Number(retry.seconds) * 1000 + retry.nanos / 1e6 : retryAfter * 1000;
  const traceId = info?.metadata["trace_id"] || error.metadata.get("x-trace-id");
  return new ParleyError({
    message: error.rawMessage,
    code: statusCode(error),
    reason: info ? reasonFromName(info.reason) : ErrorReason.UNSPECIFIED,
    metadata: info?.metadata ?? {},
    fieldViolations: error
      .findDetails(BadRequestSchema)
      .flatMap((detail) => detail.fieldViolations.map(({ field, description }) => ({ field, description }))),
    ...(Number.isFinite(retryDelayMs) ? { retryDelayMs } : {}),
    ...(traceId ? { traceId } : {}),
    connectionLost: info === undefined && isConnectionError(error),
    unsent: info === undefined && (UNSENT.has(systemCode(error)) || error.rawMessage === "no healthy upstream"),
    refused: info === undefined && systemCode(error) === "ECONNREFUSED",
    cause: error,
  });
}

/** The reason of a name on the wire, for example `ERROR_REASON_EMAIL_TAKEN`. UNSPECIFIED for a name that this client does not know. */
export function reasonFromName(name: string): ErrorReason {
  const key = name.replace(/^ERROR_REASON_/, "") as keyof typeof ErrorReason;
  return ErrorReason[key] ?? ErrorReason.UNSPECIFIED;
}

/** The edge answers some refusals with an HTTP status beside the gRPC status. The gRPC status is the exact one. */
function statusCode(error: ConnectError): Code {
  const status = Number(error.metadata.get("grpc-status") ?? Number.NaN);
  return Number.isInteger(status) && status > 0 && Code[status] !== undefined ? (status as Code) : error.code;
}

/** What the system says when no connection comes about, as Node hands it on. */
const UNSENT: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"]);

/** The system's code of an error, somewhere down its causes. Empty when there is none, as in browsers. */
function systemCode(error: ConnectError): string {
  let cause: unknown = error.cause;
  for (let depth = 0; depth < 5 && typeof cause === "object" && cause !== null; depth += 1) {
    if ("code" in cause && typeof cause.code === "string") return cause.code;
    cause = "cause" in cause ? cause.cause : undefined;
  }
  return "";
}

function isConnectionError(error: ConnectError): boolean {
  // fetch reports every network failure as a TypeError; Connect throws bare strings when a body ends in the middle.
  if (error.cause instanceof TypeError || typeof error.cause === "string") return true;
  if (error.rawMessage.startsWith("protocol error")) return true;
  return [Code.Unavailable, Code.Internal, Code.Unknown, Code.DataLoss, Code.Aborted].includes(statusCode(error));
}
