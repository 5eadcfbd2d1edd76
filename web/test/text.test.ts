import { expect, test } from "vitest";
import { blocks, markPassage } from "../src/text/blocks";
import { branch } from "../src/text/branches";
import { cutAtMarkers, headingWithin, rehypeCitations } from "../src/text/citations";
import { codePointLength, utf16Index } from "../src/text/codePoints";
import { dollars, duration, perSecond, period } from "../src/text/figures";

const node = (messageId: string, parentMessageId: string) => ({ messageId, parentMessageId });
const ids = (steps: { message: { messageId: string } }[]) => steps.map(({ message }) => message.messageId);

test("a branch leads to the newest message", () => {
  const messages = [node("q1", ""), node("a1", "q1"), node("q2", "a1"), node("a2", "q2"), node("q2b", "a1"), node("a2b", "q2b")];
  expect(ids(branch(messages))).toEqual(["q1", "a1", "q2b", "a2b"]);
});

test("a message with alternatives knows them and its place among them", () => {
  const messages = [node("q1", ""), node("a1", "q1"), node("q2", "a1"), node("a2", "q2"), node("q2b", "a1")];
  const step = branch(messages)[2]!;
  expect(step.alternatives.map(({ messageId }) => messageId)).toEqual(["q2", "q2b"]);
  expect(step.index).toBe(1);
});

test("the reader's choice decides, and below it the branch leads to the newest again", () => {
  const messages = [node("q1", ""), node("a1", "q1"), node("q2", "a1"), node("a2", "q2"), node("a2x", "q2"), node("q2b", "a1"), node("a2b", "q2b")];
  expect(ids(branch(messages, new Map([["a1", "q2"]])))).toEqual(["q1", "a1", "q2", "a2x"]);
});

test("a choice that is not loaded is passed over", () => {
  expect(ids(branch([node("q1", ""), node("a1", "q1")], new Map([["q1", "gone"]])))).toEqual(["q1", "a1"]);
});

test("where older messages are missing, the branch begins at the oldest there is", () => {
  expect(ids(branch([node("q9", "a8"), node("a9", "q9")]))).toEqual(["q9", "a9"]);
});

test("a session without messages has an empty branch", () => {
  expect(branch([])).toEqual([]);
});

test("markers of known citations are cut out, others stay words", () => {
  expect(cutAtMarkers("So [1], and [2, 3]; but [9] and [x].", new Set([1, 2, 3]))).toEqual(["So ", 1, ", and ", 2, 3, "; but [9] and [x]."]);
  expect(cutAtMarkers("[1][2]", new Set([1, 2]))).toEqual([1, 2]);
});

test("markers in code and in links are left alone", () => {
  const text = (value: string) => ({ type: "text", value });
  const tree = {
    type: "root",
    children: [
      { type: "element", tagName: "p", children: [text("see [1]"), { type: "element", tagName: "code", children: [text("a[1]")] }] },
      { type: "element", tagName: "a", children: [text("[1]")] },
    ],
  };
  rehypeCitations(new Set([1]))()(tree);
  const [paragraph, link] = tree.children;
  expect(paragraph?.children[1]).toEqual({ type: "element", tagName: "cite", properties: { dataNumber: 1 }, children: [] });
  expect(paragraph?.children[2]).toEqual({ type: "element", tagName: "code", children: [text("a[1]")] });
  expect(link?.children).toEqual([text("[1]")]);
});

test("offsets count code points, not UTF-16 units", () => {
  const text = "a🧭b👩‍🚀c";
  expect(text.slice(utf16Index(text, 1), utf16Index(text, 3))).toBe("🧭b");
  expect(utf16Index(text, 99)).toBe(text.length);
  expect(codePointLength("🧭🧭")).toBe(2);
});

test("paragraphs, lists, fences and tables are blocks, and together they are the text", () => {
  const text = "# Title\n\nOne\ntwo\n\n- a\n\n  more of a\n- b\n\n```py\nx = 1\n\ny = 2\n```\n\n| a |\n| - |\n";
  const found = blocks(text);
  expect(found.map((block) => block.text.trim())).toEqual(["# Title", "One\ntwo", "- a\n\n  more of a\n- b", "```py\nx = 1\n\ny = 2\n```", "| a |\n| - |"]);
  for (const block of found) expect(text.slice(block.start, block.end)).toBe(block.text);
});

test("a fence that is not closed takes the rest, and a shorter one inside does not close it", () => {
  expect(blocks("````\n```\n\na\n```\n\nb")).toHaveLength(1);
});

test("a text that defines links stays one block", () => {
  expect(blocks("See [here][1].\n\n[1]: https://example.com\n")).toHaveLength(1);
});

test("a text without words has no blocks", () => {
  expect(blocks(" \n\n")).toEqual([]);
});

test("the blocks of a passage are marked, and a paragraph is cut where the passage begins and ends", () => {
  const text = "Before.\n\nFirst half. Second half.\n\nAfter.\n";
  const from = text.indexOf("Second");
  const parts = markPassage(text, from, from + "Second half.".length);
  expect(parts.filter(({ marked }) => marked).map((part) => part.text.trim())).toEqual(["Second half."]);
  expect(parts.map((part) => part.text.trim())).toEqual(["Before.", "First half.", "Second half.", "After."]);
});

test("a passage inside a list marks the whole list", () => {
  const text = "- one\n- two\n";
  expect(markPassage(text, 2, 5)).toEqual([{ start: 0, end: text.length, text, marked: true }]);
});

test("an empty passage marks nothing", () => {
  expect(markPassage("One.\n\nTwo.", 0, 0).some(({ marked }) => marked)).toBe(false);
});

test("times are told in words that fit their size", () => {
  expect([42, 1300, 12_400, 185_000].map(duration)).toEqual(["42 ms", "1.3 s", "12 s", "3 min 5 s"]);
  expect([perSecond(1, 2000), perSecond(84, 2000), perSecond(1280, 1000)]).toEqual(["0.5", "42", "1,280"]);
});

test("a list is divided by day, week, month", () => {
  const now = new Date(2026, 10, 21, 9);
  const at = (days: number) => period(new Date(2026, 10, 21 - days, 23), now);
  expect([at(0), at(1), at(5), at(20), at(60), at(400)]).toEqual(["Today", "Yesterday", "Previous 7 days", "Previous 30 days", "September", "October 2025"]);
});

test("a heading does not repeat the title that stands beside it", () => {
  expect(headingWithin("First calls", "First calls › With grpcurl")).toBe("With grpcurl");
  expect(headingWithin("Parley", "Parley")).toBe("");
  expect(headingWithin("Parley", "Other › Parley")).toBe("Other › Parley");
});

test("a cost shows two digits that tell something", () => {
  const shown = [0n, 1n, 12n, 1_234n, 12_345n, 250_000n, 999_999n, 3_104_999n, 12_000_000n].map(dollars);
  expect(shown).toEqual(["$0", "$0.000001", "$0.000012", "$0.0012", "$0.012", "$0.25", "$1.00", "$3.10", "$12.00"]);
});
