/** Markdown of models and documents: whatever is in it, what is drawn can run nothing, load nothing, and change nothing outside itself. */
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, test, vi } from "vitest";
import { HintProvider } from "../src/parts/Hint";
import { Markdown, MarkdownBlock } from "../src/parts/Markdown";
import { ATTACKS } from "./attacks";

// However busy the machine is.
vi.setConfig({ testTimeout: 120_000 });

/** What Markdown is drawn with, before formulas have come: their attacks run in a browser (tests/e2e/test_page_safety.py). A tag that is not here needs a look at what it can do. */
const TAGS = new Set(
  "a blockquote br button circle cite code del div em h1 h2 h3 h4 h5 h6 hr input li line ol p path polyline pre rect section span strong sup svg table tbody td th thead tr ul".split(
    " ",
  ),
);
/** Attributes that no drawing needs and with which tags load or run something, or reach over the page. */
const FORBIDDEN = /^(?:on.*|src|srcset|srcdoc|data|action|formaction|background|poster|xlink:href|http-equiv|ping|style|name|is|slot|form|autofocus)$/i;

/** The tags of drawn HTML with their attributes. React escapes `<` and `>` in words and attributes, so that each `<` begins a tag. */
function tagsOf(html: string): { tag: string; attributes: [string, string][] }[] {
  return [...html.matchAll(/<([a-zA-Z][^\s/>]*)([^>]*)>/g)].map(([, tag = "", rest = ""]) => ({
    tag,
    attributes: [...rest.matchAll(/([^\s="/]+)(?:="([^"]*)")?/g)].map(([, name = "", value = ""]) => [name, value] as [string, string]),
  }));
}

function dangersIn(html: string): string[] {
  return tagsOf(html).flatMap(({ tag, attributes }) => [
    ...(TAGS.has(tag) ? [] : [`<${tag}>`]),
    ...attributes.flatMap(([name, value]) => {
      if (FORBIDDEN.test(name)) return [`${tag} ${name}="${value}"`];
      if (name === "href" && !/^(?:https?:|mailto:)/.test(value)) return [`${tag} href="${value}"`];
      return [];
    }),
    ...(tag === "a" && !attributes.some(([name, value]) => name === "rel" && /noopener/.test(value)) ? ["a without noopener"] : []),
    // Boxes of lists of tasks, which cannot be changed.
    ...(tag === "input" && !attributes.some(([name]) => name === "disabled") ? ["input"] : []),
  ]);
}

const draw = (text: string, writing: boolean) =>
  renderToStaticMarkup(createElement(HintProvider, null, createElement(Markdown, { text, writing, numbers: "1,2" })));

test.each(Object.entries(ATTACKS))("%s", (_name, attack) => {
  for (const text of [attack, `Before ${attack} after`, `Before\n\n${attack}\n\nafter`, `| a |\n| --- |\n| ${attack.replaceAll("\n", " ")} |`]) {
    expect(dangersIn(draw(text, false))).toEqual([]);
    expect(dangersIn(draw(text, true))).toEqual([]);
  }
  // While it is written, at no place in it.
  const begun = attack.slice(0, 240);
  for (let end = 1; end < begun.length; end += 7) expect(dangersIn(draw(`Before ${begun.slice(0, end)}`, true))).toEqual([]);
  // In a document, block by block.
  expect(dangersIn(renderToStaticMarkup(createElement(HintProvider, null, createElement(MarkdownBlock, { text: attack }))))).toEqual([]);
});

test("all of them together, and words stay words", () => {
  const html = draw(Object.values(ATTACKS).filter((attack) => attack.length < 500).join("\n\n"), false);
  expect(dangersIn(html)).toEqual([]);
  expect(draw(ATTACKS["script"]!, false)).toContain("&lt;script&gt;ran(1)&lt;/script&gt;");
});

test("the check finds what it is there for", () => {
  for (const html of ['<img src="x"/>', '<a href="javascript:ran(1)" rel="noopener">x</a>', "<p onclick=\"ran(1)\">x</p>", '<a href="https://x.example">x</a>', "<script>x</script>"]) {
    expect(dangersIn(html)).not.toEqual([]);
  }
});
