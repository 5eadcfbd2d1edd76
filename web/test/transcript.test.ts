/** A conversation as a file. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { MessageSchema, MessageState, Role } from "@parley/protos/parley/chat/v1/message_pb";
import { SessionSchema } from "@parley/protos/parley/chat/v1/session_pb";
import { expect, test } from "vitest";
import { transcript } from "../src/text/transcript";

const session = create(SessionSchema, { sessionId: "ses_1", title: "What is tea? / ☕" });
const createTime = timestampFromDate(new Date(2026, 10, 21, 9, 30));
const message = (messageId: string, parentMessageId: string, role: Role, text: string, more: object = {}) =>
  create(MessageSchema, { messageId, parentMessageId, role, text, state: MessageState.COMPLETED, createTime, ...more });

const messages = [
  message("q1", "", Role.USER, "What is tea?"),
  message("a1", "q1", Role.ASSISTANT, "A first try.", { model: "house" }),
  message("a2", "q1", Role.ASSISTANT, "A *drink* [1].", {
    model: "house",
    citations: [{ number: 1, documentTitle: "Drinks", heading: "Hot" }],
    toolUses: [{ tool: "search_documents", failed: true }],
  }),
  message("q2", "a2", Role.USER, "More"),
  message("a3", "q2", Role.ASSISTANT, "Half", { state: MessageState.STOPPED }),
];

test("Markdown has the branch that leads to the newest message, with its sources and what went wrong", () => {
  const { fileName, type, text } = transcript(session, messages, "markdown");
  expect([fileName, type]).toEqual(["What-is-tea.md", "text/markdown"]);
  expect(text.split("\n").filter(Boolean)).toEqual([
    "# What is tea? / ☕",
    "## You, 2026-11-21 09:30",
    "What is tea?",
    "## Assistant (house), 2026-11-21 09:30",
    "A *drink* [1].",
    "*Used search_documents, which failed.*",
    "- [1] Drinks › Hot",
    "## You, 2026-11-21 09:30",
    "More",
    "## Assistant, 2026-11-21 09:30",
    "Half",
    "*Stopped here.*",
  ]);
});

test("JSON has every message of every branch, as the contract has it", () => {
  const { fileName, text } = transcript(session, messages, "json");
  expect(fileName).toBe("What-is-tea.json");
  const whole = JSON.parse(text) as { session: { session_id: string }; messages: { message_id: string; role: string }[] };
  expect(whole.session.session_id).toBe("ses_1");
  expect(whole.messages.map(({ message_id }) => message_id)).toEqual(["q1", "a1", "a2", "q2", "a3"]);
  expect(whole.messages[0]?.role).toBe("ROLE_USER");
});

test("a file has a name also when the title has no words", () => {
  expect(transcript(create(SessionSchema, { title: "../…" }), [], "markdown").fileName).toBe("conversation.md");
  expect(Array.from(transcript(create(SessionSchema, { title: "😀a".repeat(80) }), [], "json").fileName).length).toBeLessThanOrEqual(65);
});
