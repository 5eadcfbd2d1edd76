"""Writes content plainly: puts the values of a prompt into the form of their template. It adds frame words, in English, and no thought.

Forms that only a writer could fill (a post's sections, a caller's own template) become an outline.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from parley_inference.adapters.offline_markdown import sentences_of
from parley_inference.adapters.offline_summary import summary_of
from parley_inference.adapters.offline_words import terms
from parley_inference.domain.content_prompt import ContentBrief

NOTHING_GIVEN = "Your template has no places for values, and I cannot write a text from instructions alone."

_SUBJECT_MOST = 60
_HEADLINE_MOST = 40
_SEARCH_HEADLINE_MOST = 30
_SHORT_POST_MOST = 280
_SHORT_POSTS = frozenset({"X", "Mastodon"})
_WORD = re.compile(r"[^\W\d_]{4,30}")
_FORMAL = re.compile(r"formal|official|polite|respectful", re.IGNORECASE)
_INFORMAL = re.compile(r"informal|casual|friendly|warm|relaxed|playful", re.IGNORECASE)
_USUAL_SUMMARY_WORDS = 120


def content_for(brief: ContentBrief, seed: int = 0) -> str:
    """The text, as Markdown. Another version or seed puts points in another order; where there are none, all versions are the same."""
    turn = brief.version - 1 + seed
    write, known = _WRITERS.get(brief.template_id, (_outline, brief.values.keys()))
    return write(brief, turn) if brief.values.keys() <= known else _outline(brief, turn)


def _email(brief: ContentBrief, turn: int) -> str:
    values = brief.values
    purpose = values.get("purpose", "")
    recipient, sender = values.get("recipient", ""), values.get("sender", "")
    is_informal = _INFORMAL.search(brief.tone) is not None
    is_formal = not is_informal and _FORMAL.search(brief.tone) is not None
    greeting = "Hi" if is_informal else "Dear" if is_formal else "Hello"
    name = recipient or ("Sir or Madam" if is_formal else "")
    closing = "Best wishes" if is_informal else "Yours sincerely" if is_formal else "Kind regards"
    parts = [
        f"Subject: {_shortened(purpose, _SUBJECT_MOST)}",
        f"{greeting} {name},".replace(" ,", ","),
        # Whatever it is given as, a topic or a wish: as part of a sentence it is one.
        _sentence(f"This is about: {purpose}"),
        _points(_turned(_lines(values, "points"), turn)),
        _sentence(values.get("call_to_action", "")),
        f"{closing}\n{sender}".strip(),
    ]
    return "\n\n".join(part for part in parts if part)


def _blog_post(brief: ContentBrief, turn: int) -> str:
    values = brief.values
    points = _turned(_lines(values, "points"), turn)
    wanted = _number(values, "sections", 1) or 1
    # Neighbours stay together: the first section has the first points, and none is empty.
    size = max(1, -(-len(points) // wanted))
    sections = [points[start : start + size] for start in range(0, len(points), size)]
    parts = [f"# {_capital(values.get('topic', '')).rstrip('.')}", _sentence(values.get("message", ""))]
    for section in sections:
        parts.append(f"## {_capital(section[0]).rstrip('.')}")
        parts.append("\n".join(f"- {_capital(point)}" for point in section[1:]))
    keywords = _lines(values, "keywords")
    if keywords:
        parts.append(f"Words to use: {', '.join(keywords)}.")
    parts.append(_sentence(values.get("call_to_action", "")))
    return "\n\n".join(part for part in parts if part)


def _social_post(brief: ContentBrief, turn: int) -> str:
    values = brief.values
    message = values.get("message", "")
    tags = " ".join(_hashtags(message, _number(values, "hashtags", 0), turn))
    end = "\n\n".join(part for part in (values.get("link", ""), tags) if part)
    if values.get("platform") in _SHORT_POSTS:
        room = max(1, _SHORT_POST_MOST - (len(end) + 2 if end else 0))
        return f"{message if len(message) <= room else _shortened(message, room)}\n\n{end}".strip()
    sentences = sentences_of(message) or [message]
    lead, rest = sentences[0], " ".join(sentences[1:])
    return "\n\n".join(part for part in (lead, rest, end) if part)


def _product_description(brief: ContentBrief, turn: int) -> str:
    values = brief.values
    facts = "\n".join(f"- {fact}" for fact in _lines(values, "facts"))
    features = "\n".join(f"- {_capital(feature)}" for feature in _turned(_lines(values, "features"), turn))
    parts = [
        f"## {_capital(values.get('product', ''))}",
        _sentence(values.get("purpose", "")),
        features,
        f"**Facts**\n\n{facts}" if facts else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _summary(brief: ContentBrief, turn: int) -> str:
    form = brief.values.get("form", "")
    most = 1 if form == "one sentence" else 7 if form == "key points" else 10
    found = summary_of(brief.values.get("text", ""), brief.words or _USUAL_SUMMARY_WORDS, most)
    if found is None:
        return brief.values.get("text", "")
    if form == "key points":
        return "\n".join(f"- {sentence}" for sentence in found.sentences)
    return " ".join(found.sentences)


def _ad_copy(brief: ContentBrief, turn: int) -> str:
    values = brief.values
    benefits = _turned(_lines(values, "benefits"), turn)
    most = _SEARCH_HEADLINE_MOST if values.get("placement") == "search" else _HEADLINE_MOST
    product, offer = values.get("product", ""), values.get("offer", "")
    thoughts = [text for text in (product, *benefits, offer) if text]
    wanted = _number(values, "headlines", 3)
    headlines = list(dict.fromkeys(_shortened(thought, most) for thought in thoughts))[:wanted]
    text = " ".join(_sentence(part) for part in (product, *benefits[:1], offer) if part)
    parts = [
        "**Headlines**",
        "\n".join(f"- {headline}" for headline in headlines),
        "**Text**",
        text,
        "**Call to action**",
        _shortened(values.get("call_to_action") or "Find out more", _HEADLINE_MOST),
    ]
    return "\n\n".join(part for part in parts if part)


def _outline(brief: ContentBrief, turn: int) -> str:
    """All that was given, each under its name."""
    parts: list[str] = []
    for name, value in brief.values.items():
        lines = [line for line in value.split("\n") if line.strip()]
        title = _capital(name.replace("_", " "))
        if len(lines) > 1:
            parts.append(f"**{title}**\n\n" + "\n".join(f"- {line.strip()}" for line in lines))
        else:
            parts.append(f"**{title}:** {value}")
    return "\n\n".join(("This is only an outline of what you gave:", *parts)) if parts else NOTHING_GIVEN


_Writer = Callable[[ContentBrief, int], str]
_WRITERS: Mapping[str, tuple[_Writer, frozenset[str]]] = {
    "email": (_email, frozenset({"purpose", "recipient", "sender", "points", "call_to_action"})),
    "blog_post": (
        _blog_post,
        frozenset({"topic", "message", "points", "keywords", "sections", "call_to_action"}),
    ),
    "social_post": (_social_post, frozenset({"message", "platform", "link", "hashtags"})),
    "product_description": (_product_description, frozenset({"product", "features", "purpose", "facts"})),
    "summary": (_summary, frozenset({"text", "focus", "form"})),
    "ad_copy": (
        _ad_copy,
        frozenset({"product", "benefits", "offer", "call_to_action", "placement", "headlines"}),
    ),
}
"""By template: who writes it, and the fields that it knows. An operator's own template of the same name may have others."""


def _lines(values: Mapping[str, str], name: str) -> list[str]:
    return [line.strip().lstrip("-*• ").strip() for line in values.get(name, "").split("\n") if line.strip()]


def _number(values: Mapping[str, str], name: str, default: int) -> int:
    value = values.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 4 else default


def _turned(points: Sequence[str], turn: int) -> list[str]:
    """The points, beginning with another one in each turn."""
    start = turn % len(points) if points else 0
    return [*points[start:], *points[:start]]


def _points(points: Sequence[str]) -> str:
    """Few points as sentences, more as a list."""
    if len(points) <= 2:
        return " ".join(map(_sentence, points))
    return "\n".join(f"- {_capital(point)}" for point in points)


def _capital(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    """The text with a capital at its beginning and a mark at its end."""
    text = _capital(text)
    return text if not text or text[-1] in ".!?…:" else f"{text}."


def _shortened(text: str, most: int) -> str:
    """The beginning of the text, cut behind a word and marked as cut, when it is too long."""
    text = _capital(" ".join(text.split()).rstrip("."))
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    head, space, _ = cut.rpartition(" ")
    return f"{(head if space and len(head) > most // 2 else cut).rstrip(' ,;:')}…"


def _hashtags(message: str, count: int, turn: int) -> list[str]:
    """The first telling words of the message, names before others."""
    words = list(dict.fromkeys(word for word in _WORD.findall(message) if terms(word)))
    words.sort(key=lambda word: not word[0].isupper())
    return [f"#{word[:1].upper()}{word[1:]}" for word in _turned(words, turn)[:count]]
