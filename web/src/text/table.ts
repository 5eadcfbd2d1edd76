/**
 * Tables as files: CSV as RFC 4180 has it, also with the semicolons or tabs of some spreadsheets. Read here, so that what is wrong is told with its
 * line and column before anything is sent.
 */

/** Why a file is no table. `line` counts from 1, as editors do. */
export class TableError extends Error {
  override readonly name = "TableError";
  readonly line: number;

  constructor(words: string, line: number) {
    super(words);
    this.line = line;
  }
}

export interface Table {
  readonly names: readonly string[];
  /** As many values each as there are names. */
  readonly rows: readonly (readonly string[])[];
  /** The line that each row begins in, from 1. */
  readonly lines: readonly number[];
}

export interface TableBounds {
  readonly bytes: number;
  readonly rows: number;
  readonly columns: number;
}

const NAME_CHARACTERS = 200;
const FIELD_CHARACTERS = 131_072;
/** How much of the first line is looked at for its separator. */
const HEADER_CHARACTERS = 20_000;

/** Reads a file. Throws TableError; with bounds, before a file that is too large is read at all. */
export async function readTableFile(file: Blob, bounds: TableBounds): Promise<Table> {
  if (file.size > bounds.bytes) throw new TableError(`This file has ${(file.size / 1e6).toFixed(1)} MB; ${bounds.bytes / 1e6} MB is the most that is taken.`, 1);
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new TableError("This file isn't text in UTF-8. Save it as “CSV UTF-8”, then choose it again.", 1);
  }
  return readTable(text, bounds);
}

/** Reads a text. The first line has the names; empty lines are passed over. Throws TableError. */
export function readTable(text: string, bounds: Omit<TableBounds, "bytes">): Table {
  const separator = separatorOf(text);
  let names: string[] | undefined;
  const rows: string[][] = [];
  const lines: number[] = [];
  for (const { line, values } of records(text, separator)) {
    if (values.length === 1 && values[0] === "") continue;
    if (!names) {
      names = namesOf(values, line, bounds.columns);
      continue;
    }
    if (values.length !== names.length) throw new TableError(wrongCount(values.length, names), line);
    const long = values.findIndex((value) => value.length > FIELD_CHARACTERS);
    if (long >= 0) throw new TableError(`The value in column “${names[long]}” has more than ${FIELD_CHARACTERS.toLocaleString("en-US")} characters.`, line);
    if (rows.length === bounds.rows) throw new TableError(`There are more than ${bounds.rows.toLocaleString("en-US")} rows, the most that is taken.`, line);
    rows.push(values);
    lines.push(line);
  }
  if (!names) throw new TableError("This file is empty. Its first line has to name the columns.", 1);
  if (rows.length === 0) throw new TableError("There is a line of names and no row below it.", 1);
  return { names, rows, lines };
}

/** What is wrong, with its place. */
export function wordsForTable(error: TableError): string {
  return `Line ${error.line.toLocaleString("en-US")}: ${error.message}`;
}

/** Writes a table: commas, CRLF, quotes where they are needed. */
export function writeTable(names: readonly string[], rows: Iterable<readonly (string | number)[]>): string {
  const lines = [names, ...rows].map((values) => values.map((value) => quoted(String(value))).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

function quoted(value: string): string {
  return /[",\r\n]/.test(value) || value !== value.trim() ? `"${value.replaceAll('"', '""')}"` : value;
}

/** Which mark separates the names: the one that there are most of outside of quotes. */
function separatorOf(text: string): string {
  const header = /^(?:"(?:[^"]|"")*"|[^"\r\n])*/.exec(text.slice(0, HEADER_CHARACTERS))?.[0].replaceAll(/"(?:[^"]|"")*"/g, "") ?? "";
  const counted = [",", ";", "\t"].map((mark) => ({ mark, count: header.split(mark).length }));
  return counted.reduce((best, each) => (each.count > best.count ? each : best)).mark;
}

function* records(text: string, separator: string): Generator<{ line: number; values: string[] }> {
  let at = text.startsWith("\ufeff") ? 1 : 0;
  let line = 1;
  while (at < text.length) {
    const begun = line;
    const values: string[] = [];
    for (;;) {
      let value = "";
      if (text[at] === '"') {
        at += 1;
        for (;;) {
          const end = text.indexOf('"', at);
          if (end < 0) throw new TableError(`The value in column ${values.length + 1} begins with a quote that is never closed.`, begun);
          value += text.slice(at, end);
          at = end + 1;
          if (text[at] !== '"') break;
          value += '"';
          at += 1;
        }
        line += count(value, "\n");
        if (at < text.length && text[at] !== separator && text[at] !== "\r" && text[at] !== "\n") {
          throw new TableError(`The value in column ${values.length + 1} goes on after its closing quote.`, line);
        }
      } else {
        const begin = at;
        while (at < text.length && text[at] !== separator && text[at] !== "\n" && text[at] !== "\r") at += 1;
        value = text.slice(begin, at);
      }
      values.push(value);
      if (text[at] !== separator) break;
      at += 1;
    }
    if (text[at] === "\r") at += 1;
    if (text[at] === "\n") at += 1;
    line += 1;
    yield { line: begun, values };
  }
}

function count(text: string, mark: string): number {
  return text.split(mark).length - 1;
}

function namesOf(values: readonly string[], line: number, most: number): string[] {
  const names = values.map((value) => value.trim());
  const nameless = names.findIndex((name) => !name || name.length > NAME_CHARACTERS);
  if (nameless >= 0) throw new TableError(`Column ${nameless + 1} has no usable name: 1 to ${NAME_CHARACTERS} characters are needed.`, line);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new TableError(`Two columns are called “${twice}”.`, line);
  if (names.length > most) throw new TableError(`There are ${names.length} columns; ${most} is the most that is taken.`, line);
  return names;
}

function wrongCount(found: number, names: readonly string[]): string {
  if (found < names.length) return `There are ${found} values for ${names.length} columns: column “${names[found]}” has none.`;
  return `There are ${found} values for ${names.length} columns: the value after column “${names.at(-1)}” has none to stand in. A value with a comma needs quotes.`;
}
