/** A conversation as a file: Markdown of the branch that leads to its newest message, or JSON of all branches, as the contract has them. */
import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { MessageSchema, MessageState, Role, type Message } from "@parley/protos/parley/chat/v1/message_pb";
import { SessionSchema, type Session } from "@parley/protos/parley/chat/v1/session_pb";
import { branch } from "./branches";

export type TranscriptKind = "markdown" | "json";

export interface Transcript {
  readonly fileName: string;
  /** A media type. */
  readonly type: string;
  readonly text: string;
}

/** @param messages all messages of the session, oldest first. */
export function transcript(session: Session, messages: readonly Message[], kind: TranscriptKind): Transcript {
  const name = fileName(session.title);
  if (kind === "markdown") return { fileName: `${name}.md`, type: "text/markdown", text: markdown(session, messages) };
  const options = { useProtoFieldName: true };
  const whole = { session: toJson(SessionSchema, session, options), messages: messages.map((message) => toJson(MessageSchema, message, options)) };
  return { fileName: `${name}.json`, type: "application/json", text: `${JSON.stringify(whole, undefined, 2)}\n` };
}

function markdown(session: Session, messages: readonly Message[]): string {
  const parts = branch(messages).map(({ message }) => written(message));
  return [`# ${session.title || "Conversation"}\n`, ...parts].join("\n");
}

function written(message: Message): string {
  const lines = [heading(message), ""];
  if (message.text) lines.push(message.text);
  if (message.state === MessageState.STOPPED) lines.push("", "*Stopped here.*");
  if (message.state === MessageState.FAILED) lines.push("", `*Failed: ${message.failure?.message ?? ""}*`);
  for (const use of message.toolUses) lines.push("", `*Used ${use.tool}${use.failed ? ", which failed" : ""}.*`);
  if (message.citations.length > 0) lines.push("");
  for (const citation of message.citations) {
    lines.push(`- [${citation.number}] ${[citation.documentTitle, citation.heading].filter(Boolean).join(" › ")}`);
  }
  return `${lines.join("\n")}\n`;
}

function heading(message: Message): string {
  const when = message.createTime ? `, ${timestampDate(message.createTime).toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "short" })}` : "";
  if (message.role === Role.USER) return `## You${when}`;
  return `## Assistant${message.model ? ` (${message.model})` : ""}${when}`;
}

/** A name that every file system takes: words of the title, at most 60 characters. */
function fileName(title: string): string {
  const words = title.normalize("NFC").replaceAll(/[^\p{L}\p{N}]+/gu, "-");
  return Array.from(words).slice(0, 60).join("").replaceAll(/^-+|-+$/g, "") || "conversation";
}
