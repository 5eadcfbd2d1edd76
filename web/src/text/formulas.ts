/**
 * Finds formulas in Markdown: `$…$`, `$$…$$`, `\(…\)` and `\[…\]`, and not the prices and variables that have a dollar too.
 *
 * A formula leaves here as a code span whose text begins with a mark that no keyboard has, so that nothing in it is read as Markdown; whoever
 * draws code asks `formulaOf`. What is no formula stays as it was written.
 */

/** A formula, as it goes through Markdown. */
export interface Formula {
  /** Without its delimiters. */
  readonly tex: string;
  /** Whether it stands on a line of its own. */
  readonly display: boolean;
  /** Whether its end is still to come: it cannot be drawn yet. */
  readonly open: boolean;
}

/** Of the private use area of Unicode: for a formula in a line, on its own, and for one whose end is to come. */
const INLINE = "\uE0F0";
const DISPLAY = "\uE0F1";
const OPEN = "\uE0F2";

/** What is longer is no formula: it is text in which a dollar was forgotten. */
const LONGEST = 8_000;
const LONGEST_BETWEEN_DOLLARS = 600;
const BLANK_LINE = /\n[ \t]*\n/;

/** Whether there is anything to look for. */
const HINT = /\$|\\[([]/;

/**
 * The text with its formulas as marked code spans.
 *
 * @param writing whether more is coming: then a formula on its own line that has no end yet is one already.
 */
export function withFormulas(markdown: string, writing = false): string {
  // Lines that are all moved in are code.
  if (!HINT.test(markdown) || /^(?: {4}|\t)/.test(markdown)) return markdown;
  let out = "";
  let plain = 0;
  const take = (from: number, to: number, formula: Formula) => {
    out += markdown.slice(plain, from) + span(formula, /^[ \t>]*\|/.test(lineBefore(markdown, from)));
    plain = to;
  };
  for (let at = 0; at < markdown.length; ) {
    const character = markdown[at];
    if (character === "`") at = afterCode(markdown, at);
    else if (character === "~" && markdown.startsWith("~~~", at) && beginsLine(markdown, at)) at = afterFence(markdown, at, "~");
    else if (character === "\\") {
      const opener = markdown.slice(at, at + 2);
      const display = opener === "\\[";
      if (!display && opener !== "\\(") {
        at += 2;
        continue;
      }
      const end = closing(markdown, at + 2, display ? "\\]" : "\\)");
      const tex = markdown.slice(at + 2, end ?? markdown.length);
      // A number in brackets that are escaped is a number in brackets.
      if (end !== undefined && /[^\d\s,]/.test(tex)) {
        take(at, end + 2, { tex, display, open: false });
        at = end + 2;
      } else if (end === undefined && display && writing && !BLANK_LINE.test(tex)) {
        take(at, markdown.length, { tex, display, open: true });
        at = markdown.length;
      } else at += 2;
    } else if (character !== "$") at += 1;
    else if (markdown[at + 1] === "$") {
      const end = closing(markdown, at + 2, "$$");
      const tex = markdown.slice(at + 2, end ?? markdown.length);
      if (end !== undefined && tex.trim()) {
        take(at, end + 2, { tex, display: true, open: false });
        at = end + 2;
      } else if (end === undefined && writing && beginsLine(markdown, at) && !BLANK_LINE.test(tex)) {
        take(at, markdown.length, { tex, display: true, open: true });
        at = markdown.length;
      } else at += 2;
    } else {
      const end = closingDollar(markdown, at);
      if (end !== undefined) take(at, end + 1, { tex: markdown.slice(at + 1, end), display: false, open: false });
      at = (end ?? at) + 1;
    }
  }
  return out + markdown.slice(plain);
}

/** The formula that a code span stands for; undefined when it is code. */
export function formulaOf(code: string): Formula | undefined {
  const [mark, tex] = [code.charAt(0), code.slice(1).trim()];
  if (mark !== INLINE && mark !== DISPLAY && mark !== OPEN) return undefined;
  return { tex, display: mark !== INLINE, open: mark === OPEN };
}

/** The code span of a formula. One line, because Markdown would read a `-` or a `#` that begins one; TeX reads a line's end as a space. */
function span({ tex, display, open }: Formula, inTable: boolean): string {
  const line = tex
    .replaceAll(/(?<!\\)%[^\n]*/g, "")
    // In a list or a quotation the lines have its signs before them.
    .replaceAll(/\n[ \t>]*/g, " ")
    .trim();
  const fence = "`".repeat(Math.max(0, ...Array.from(line.matchAll(/`+/g), ([run]) => run.length)) + 1);
  // A bar ends the cell of a table, in code too, unless it is escaped.
  return `${fence}${open ? OPEN : display ? DISPLAY : INLINE}${inTable ? line.replaceAll(/(?<!\\)\|/g, "\\|") : line} ${fence}`;
}

/** Where the end of a formula stands. A formula has no blank line. */
function closing(text: string, from: number, end: string): number | undefined {
  for (let at = from; at < Math.min(text.length, from + LONGEST); at += 1) {
    if (text.startsWith(end, at)) return at;
    if (text[at] === "\\") at += 1;
    else if (text[at] === "\n" && /^\n[ \t]*\n/.test(text.slice(at, at + 40))) return undefined;
  }
  return undefined;
}

/**
 * Where the dollar stands that closes the one at `at`; undefined when that opens no formula.
 *
 * A formula touches both of its dollars, and no word or number touches them from outside: so `$5 and $6`, `US$5–$6` and `$HOME/$PATH` are none.
 * One that begins with a number has to hold more than words and numbers: `$5 or 6$` is none, and `$2x$` is one.
 */
function closingDollar(text: string, at: number): number | undefined {
  if (/[\p{L}\p{N}$]/u.test(text[at - 1] ?? "") || !/[^\s$]/.test(text[at + 1] ?? " ")) return undefined;
  for (let to = at + 1; to < Math.min(text.length, at + LONGEST_BETWEEN_DOLLARS); to += 1) {
    const character = text[to];
    if (character === "\\") to += 1;
    else if (character === "`" || text.startsWith("\n\n", to)) return undefined;
    else if (character === "$") {
      const tex = text.slice(at + 1, to);
      if (/\s$/.test(tex) || /[\p{L}\p{N}$]/u.test(text[to + 1] ?? "")) return undefined;
      return /^[\d.,]+\S*\s/.test(tex) && !/[\\^_={}<>+*/]/.test(tex) ? undefined : to;
    }
  }
  return undefined;
}

/** Behind the code span or the fenced code that begins here. */
function afterCode(text: string, at: number): number {
  const run = /^`+/.exec(text.slice(at))![0];
  if (run.length >= 3 && beginsLine(text, at)) return afterFence(text, at, "`");
  for (let to = at + run.length; ; ) {
    const next = text.indexOf(run, to);
    if (next < 0) return at + run.length;
    const end = next + /^`+/.exec(text.slice(next))![0].length;
    if (end - next === run.length) return end;
    to = end;
  }
}

function afterFence(text: string, at: number, sign: string): number {
  let length = at;
  while (text[length] === sign) length += 1;
  const end = new RegExp(`\\n[ \\t>]*${sign}{${length - at},}[ \\t]*(?=\\n|$)`, "g");
  end.lastIndex = at;
  const found = end.exec(text);
  return found ? found.index + found[0].length : text.length;
}

/** Whether nothing but the signs of lists and quotations stands before it in its line. */
function beginsLine(text: string, at: number): boolean {
  return /^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?$/.test(lineBefore(text, at));
}

/** What stands before it in its line. */
function lineBefore(text: string, at: number): string {
  return text.slice(at > 0 ? text.lastIndexOf("\n", at - 1) + 1 : 0, at);
}
