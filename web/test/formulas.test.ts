import { expect, test } from "vitest";
import { formulaOf, withFormulas } from "../src/text/formulas";

/** The formulas of a text, in order, as what draws code finds them. */
function formulas(markdown: string, writing = false) {
  return Array.from(withFormulas(markdown, writing).matchAll(/(`+)([\uE0F0-\uE0F2].*?)\1/g), ([, , code]) => formulaOf(code!)!);
}
const inline = (tex: string) => ({ tex, display: false, open: false });
const display = (tex: string) => ({ tex, display: true, open: false });

test("all four ways to write a formula are found", () => {
  expect(formulas("So $a^2$ and \\(b\\).")).toEqual([inline("a^2"), inline("b")]);
  expect(formulas("$$\na = b\n$$\n\nand \\[\nc\n\\]")).toEqual([display("a = b"), display("c")]);
  expect(formulas("One line: $$x$$ too, $5$ and $2x + 1$")).toEqual([display("x"), inline("5"), inline("2x + 1")]);
});

test.each([
  "It costs $5 and $6.",
  "Between $5 or 6$ a month",
  "US$5–$6, A$7 and 8$",
  "Set $HOME and $PATH, or $HOME/$PATH",
  "From $1,000 to $2,000; $3/$4",
  "A dollar $ alone, two $ of $ them",
  "Escaped: \\$a\\$ and \\[1\\], \\[2, 3\\]",
  "`$a$` and ``\\(b\\)``",
  "```sh\necho $A $B$\n```",
  "~~~\n$$\nx\n$$\n~~~",
  "    indented $a$",
  "$a\n\nb$",
  "an end that never comes: \\(a, $$b, \\[c",
])("is no formula: %s", (markdown) => {
  expect(withFormulas(markdown)).toBe(markdown);
});

test("nothing in a formula is left for Markdown to read", () => {
  const [drawn, ...rest] = withFormulas("$$\na_1 = *b*\n- c\n# d % a remark\n$$").split("\n");
  expect(rest).toEqual([]);
  expect(formulaOf(drawn!.replaceAll("`", ""))?.tex).toBe("a_1 = *b* - c # d");
});

test("a formula with backticks gets a longer fence", () => {
  expect(withFormulas("\\(\\text{`a'}\\)")).toMatch(/^``[^`].*``$/);
});

test("a bar in a table does not end its cell, and elsewhere it stays as it is", () => {
  expect(withFormulas("| $|x|$ | b |")).toContain("\\|x\\|");
  expect(formulas("$|x|$")).toEqual([inline("|x|")]);
});

test("while it is written, a formula on its own line is one before its end comes", () => {
  expect(formulas("Then\n\n$$\n\\frac{a_1", true)).toEqual([{ tex: "\\frac{a_1", display: true, open: true }]);
  expect(formulas("\\[\nx_", true)).toEqual([{ tex: "x_", display: true, open: true }]);
  expect(formulas("In a line: $x_1 + ", true)).toEqual([]);
  expect(formulas("Not after a blank line: $$\na\n\nb", true)).toEqual([]);
});

test("a formula in a list and in a quotation is found behind their signs", () => {
  expect(formulas("> $$\n> a\n> $$")).toEqual([display("a")]);
  expect(formulas("- so\n  $$\n  a\n  $$\n- $b$")).toEqual([display("a"), inline("b")]);
});

test("code is no formula", () => {
  expect(formulaOf("x = 1")).toBeUndefined();
  expect(formulaOf("")).toBeUndefined();
});
