"""HTML to Markdown with selectolax: headings, paragraphs, lists, tables and code. Not what only a browser needs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from parley_retrieval.domain.documents import MediaType
from parley_retrieval.domain.files import FileText, FileUnreadableError
from parley_retrieval.domain.jobs import FailureReason
from parley_retrieval.ports.file_format import joined

_LEFT_OUT = (
    "script, style, noscript, template, nav, footer, svg, canvas, iframe, object, embed, head, button, select, [hidden]"
)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "form",
        "header",
        "hr",
        "html",
        "li",
        "main",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_HEADING = re.compile(r"h([1-6])")
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")


def read_html(source: str, longest: int) -> FileText:
    """The text of a page. Raises FileUnreadableError when it has none."""
    tree = LexborHTMLParser(source)
    title_node = tree.css_first("title")
    title = _SPACES.sub(" ", title_node.text()).strip() if title_node is not None else ""
    for node in tree.css(_LEFT_OUT):
        node.decompose()
    body = tree.body
    text = _tidy(joined(_once_blank(_pieces(body)), longest)) if body is not None else ""
    if not text:
        raise FileUnreadableError(FailureReason.NO_TEXT, "The page holds no text.")
    if not title and (heading := re.search(r"^#{1,6} (.+)$", text, re.MULTILINE)):
        title = heading[1]
    return FileText(MediaType.HTML, title, text)


def _pieces(body: LexborNode) -> Iterator[str]:
    """The page in one walk: with a stack of its own, since pages may be nested deeper than calls can be."""
    stack: list[tuple[LexborNode | str, bool]] = [(body, False)]
    while stack:
        node, verbatim = stack.pop()
        if isinstance(node, str):
            yield node
            continue
        tag = node.tag or ""
        if tag == "-text":
            words = node.text_content or ""
            yield words if verbatim else _SPACES.sub(" ", words)
            continue
        before, after = _marks(tag)
        if after:
            stack.append((after, verbatim))
        children = list(node.iter(include_text=True))
        inside = verbatim or tag == "pre"
        stack.extend((child, inside) for child in reversed(children))
        if before:
            yield before


def _once_blank(pieces: Iterator[str]) -> Iterator[str]:
    """Elements in elements begin and end at the same place: one blank line is enough, however many there are."""
    last = ""
    for piece in pieces:
        if piece != "\n\n" or last != "\n\n":
            yield piece
        last = piece


def _marks(tag: str) -> tuple[str, str]:
    """What stands before and after the content of an element."""
    if heading := _HEADING.fullmatch(tag):
        return f"\n\n{'#' * int(heading[1])} ", "\n\n"
    match tag:
        case "br":
            return "\n", ""
        case "li":
            return "\n- ", ""
        case "tr":
            return "\n| ", ""
        case "td" | "th":
            return "", " | "
        case "pre":
            return "\n\n```\n", "\n```\n\n"
        case "dt" | "dd" | "summary" | "figcaption":
            return "\n", "\n"
        case _:
            return ("\n\n", "\n\n") if tag in _BLOCKS else ("", "")


def _tidy(text: str) -> str:
    """Without spaces at the ends of lines, and never more than one blank line."""
    lines: list[str] = []
    in_code = False
    for line in text.split("\n"):
        if line.strip() == "```":
            in_code = not in_code
        kept = line.rstrip() if in_code else line.strip()
        if kept or (lines and lines[-1]):
            lines.append(kept)
    return "\n".join(lines).strip()
