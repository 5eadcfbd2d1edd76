"""What somebody might say next: found in what was said, and in what their documents are about. Asks nobody.

Prompts are in the language of the conversation or of the document where the templates below know it, English or German, and in English
otherwise. Reasons are in English, as all that Parley itself says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from parley_chat.domain.conversation import Message, Role, Route
from parley_chat.domain.routing import choose_route
from parley_chat.domain.routing_words import words_of

PROMPT_CHARACTERS = 300
REASON_CHARACTERS = 200
MOST = 10
"""How many are suggested at most."""
TITLE_CHARACTERS = 80
_TERMS_OF_ANSWER = 3
_ANSWER_CHARACTERS = 8000
_SHORT_ANSWER_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class DocumentTitle:
    """A document that the user may read."""

    document_id: str
    title: str
    shared: bool
    """Whether it is everybody's."""


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A passage of a document."""

    document: DocumentTitle
    chunk_id: str
    heading: str
    """The headings above it, outermost first, joined with ` › `. Empty when there are none."""
    text: str
    start_offset: int


@dataclass(frozen=True, slots=True)
class Idea:
    """A prompt before anybody has looked whether it fits."""

    prompt: str
    reason: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A prompt that is suggested."""

    prompt: str
    """1 to 300 characters, one line."""
    route: Route
    """STANDARD or ENHANCED."""
    reason: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """The end of a conversation."""

    question: str
    answer: str
    """Empty when there was none."""
    route: Route | None
    """The route of the answer."""
    cited_chunk_ids: frozenset[str]
    cited_document_ids: frozenset[str]
    asked: tuple[str, ...]
    """What the user has said, the last first."""

    @property
    def language(self) -> str:
        """`de` or `en`."""
        german, english = _counts(self.question)
        # An answer that quotes documents is in their language; one to a question that tells nothing is all there is to tell by.
        return language_of(self.question if german != english else self.answer[:_SHORT_ANSWER_CHARACTERS])


@dataclass(frozen=True, slots=True)
class _Templates:
    part: str
    summary: str
    more: str
    code: str
    test: str
    shorter: str
    example: str
    table: str
    anew: tuple[str, ...]


_TEMPLATES = {
    "en": _Templates(
        part="What does “{title}” say about {heading}?",
        summary="Summarize “{title}”.",
        more="Tell me more about {term}.",
        code="Explain this code step by step.",
        test="Write a test for this code.",
        shorter="Summarize this in three sentences.",
        example="Give me an example.",
        table="Put this into a table.",
        anew=(
            "What can you help me with?",
            "Draft an e-mail that moves a meeting to next week.",
            "Compare two ways of doing something, with their pros and cons.",
            "Make a checklist for a project that begins on Monday.",
        ),
    ),
    "de": _Templates(
        part="Was steht in „{title}“ über {heading}?",
        summary="Fasse „{title}“ zusammen.",
        more="Erzähl mir mehr über {term}.",
        code="Erkläre diesen Code Schritt für Schritt.",
        test="Schreibe einen Test für diesen Code.",
        shorter="Fasse das in drei Sätzen zusammen.",
        example="Gib mir ein Beispiel.",
        table="Mach daraus eine Tabelle.",
        anew=(
            "Wobei kannst du mir helfen?",
            "Entwirf eine E-Mail, die eine Besprechung auf nächste Woche verschiebt.",
            "Vergleiche zwei Wege zum selben Ziel, mit Vor- und Nachteilen.",
            "Mach eine Checkliste für ein Projekt, das am Montag beginnt.",
        ),
    ),
}
_GERMAN = frozenset(
    words_of(
        "der die das und ist ich nicht ein eine einen mit für auf von zu den dem wie was warum wo wer kann kannst du sie "
        "es im wir mir dir sind wird oder aber auch bei nach aus danke bitte hallo welche welcher über"
    )
)
_ENGLISH = frozenset(
    words_of(
        "the and is i not a an with for on of to how what why where who can you it in we me are will or but also at "
        "after from thanks please hello which about do does this that"
    )
)
_NUMBERING = re.compile(r"^(?:§\s*)?(?:\d+[.)]?)+\s+|^[A-Z][.)]\s+")
_TERM = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$|\*\*([^*\n]{3,60})\*\*", re.MULTILINE)
_MARKS = re.compile(r"[*_`]+|\[(\d+(?:,\s*\d+)*)\]|\[([^\]]*)\]\([^)]*\)")
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LIST_LINE = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+\S", re.MULTILINE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")


def language_of(text: str) -> str:
    """Tells German from everything else, by its commonest words: `de` or `en`."""
    german, english = _counts(text)
    return "de" if german > english else "en"


def _counts(text: str) -> tuple[int, int]:
    words = words_of(text)
    return sum(word in _GERMAN for word in words), sum(word in _ENGLISH for word in words)


def last_exchange(newest_first: Sequence[Message]) -> Exchange | None:
    """Finds what was said last, in the messages of one branch; None when nothing was. An answer that is still written does not count."""
    said = [message for message in newest_first if message.text.strip()]
    questions = [message for message in said if message.role is Role.USER]
    if not questions:
        return None
    answer = said[0] if said[0].role is Role.ASSISTANT else None
    return Exchange(
        question=questions[0].text,
        answer=answer.text if answer else "",
        route=answer.route if answer else None,
        cited_chunk_ids=frozenset(citation.chunk_id for citation in answer.citations) if answer else frozenset(),
        cited_document_ids=frozenset(citation.document_id for citation in answer.citations) if answer else frozenset(),
        asked=tuple(message.text for message in questions),
    )


def ideas_after(exchange: Exchange, parts: Sequence[DocumentPart]) -> list[Idea]:
    """Thinks of what follows from an exchange; `parts` are what the documents have to its question, best first. The best first."""
    words = _TEMPLATES[exchange.language]
    unread = [part for part in parts if part.chunk_id not in exchange.cited_chunk_ids]
    # What stands beside a passage that was quoted is nearer than what stands anywhere else.
    unread.sort(key=lambda part: part.document.document_id not in exchange.cited_document_ids)
    in_documents = list(_ideas_of_parts(unread, exchange.language))
    in_answer = [Idea(words.more.format(term=term), f"the answer speaks of “{term}”") for term in _terms_of(exchange)]
    return [*in_documents[:2], *in_answer[:1], *_ideas_of_form(exchange), *in_documents[2:], *in_answer[1:]]


def ideas_of_documents(own: Sequence[Sequence[DocumentPart]], shared: Sequence[DocumentPart]) -> list[Idea]:
    """Thinks of what documents invite to ask: the user's own in turns, then the shared ones. `own` has the parts of one document each."""
    by_document: list[list[Idea]] = []
    for parts in own:
        if not parts:
            continue
        in_order = sorted(parts, key=lambda part: part.start_offset)
        language = language_of(" ".join(part.text for part in in_order))
        title = in_order[0].document.title
        summary = Idea(
            _TEMPLATES[language].summary.format(title=_short(title, TITLE_CHARACTERS)),
            f"your document “{_short(title, TITLE_CHARACTERS)}” is new or has changed",
        )
        ideas = list(_ideas_of_parts(in_order, language))
        by_document.append([*ideas[:1], summary, *ideas[1:]])
    return [*_in_turns(by_document), *_one_of_each_document(shared)]


def ideas_for_anybody(language: str = "en") -> list[Idea]:
    """Something to begin with where there are no documents to ask."""
    return [Idea(prompt, "something to begin with") for prompt in _TEMPLATES[language].anew]


def choose(ideas: Iterable[Idea], asked: Sequence[str] = (), previous: Route | None = None) -> list[Suggestion]:
    """Takes the first ideas that are good: within their bounds, none twice, none that was asked already. At most MOST.

    `previous` is the route of the answer that they would follow.
    """
    known = {tuple(words_of(text)) for text in asked}
    chosen: list[Suggestion] = []
    for idea in ideas:
        prompt = _one_line(idea.prompt)
        words = tuple(words_of(prompt))
        if not words or words in known or len(prompt) > PROMPT_CHARACTERS:
            continue
        known.add(words)
        route = choose_route(prompt, Route.AUTOMATIC, previous).route
        chosen.append(Suggestion(prompt, route, _short(_one_line(idea.reason), REASON_CHARACTERS)))
        if len(chosen) == MOST:
            break
    return chosen


def _ideas_of_parts(parts: Iterable[DocumentPart], language: str) -> Iterator[Idea]:
    told: set[str] = set()
    for part in parts:
        heading = _heading_of(part)
        if not heading or heading in told:
            continue
        told.add(heading)
        title = _short(part.document.title, TITLE_CHARACTERS)
        whose = "the document" if part.document.shared else "your document"
        if heading.endswith("?"):
            where = "in" if part.document.shared else "in your document"
            yield Idea(heading, f"answered {where} “{title}”")
        else:
            prompt = _TEMPLATES[language].part.format(title=title, heading=heading)
            yield Idea(prompt, f"{whose} “{title}” has a part about {heading}")


def _one_of_each_document(parts: Sequence[DocumentPart]) -> Iterator[Idea]:
    """The ideas of the best part of each document, then those of the second best, and so on. First those of headings that are questions."""
    for questions in (True, False):
        by_document: dict[str, list[DocumentPart]] = {}
        for part in parts:
            if _heading_of(part).endswith("?") is questions:
                by_document.setdefault(part.document.document_id, []).append(part)
        yield from _in_turns(
            [
                list(_ideas_of_parts(group, language_of(" ".join(part.text for part in group))))
                for group in by_document.values()
            ]
        )


def _in_turns(lists: Sequence[Sequence[Idea]]) -> Iterator[Idea]:
    for place in range(max(map(len, lists), default=0)):
        for each in lists:
            if place < len(each):
                yield each[place]


def _ideas_of_form(exchange: Exchange) -> Iterator[Idea]:
    """What the form of the answer invites to ask."""
    answer, words = exchange.answer[:_ANSWER_CHARACTERS], _TEMPLATES[exchange.language]
    if "```" in answer:
        yield Idea(words.code, "the answer holds code")
        yield Idea(words.test, "the answer holds code")
    if len(exchange.answer) > _SHORT_ANSWER_CHARACTERS:
        yield Idea(words.shorter, "the answer is long")
    if answer and exchange.route is Route.ENHANCED:
        yield Idea(words.example, "the answer may be clearer with an example")
    if len(_LIST_LINE.findall(_FENCE.sub("", answer))) > 2:
        yield Idea(words.table, "the answer holds a list")


def _terms_of(exchange: Exchange) -> list[str]:
    """What the answer sets off: its headings and what it prints bold."""
    asked = set(words_of(exchange.question))
    terms: list[str] = []
    for found in _TERM.finditer(_FENCE.sub("", exchange.answer[:_ANSWER_CHARACTERS])):
        term = _NUMBERING.sub("", _plain(found[1] or found[2])).rstrip(":.!")
        words = words_of(term)
        # What the question speaks of already is no news.
        if 3 <= len(term) <= 60 and 0 < len(words) <= 6 and not term.endswith("?") and not asked.issuperset(words):
            terms.append(term)
        if len(terms) == _TERMS_OF_ANSWER:
            break
    return terms


def _heading_of(part: DocumentPart) -> str:
    """The innermost heading above a part; empty when it has none but the document's own title."""
    heading = _NUMBERING.sub("", _plain(part.heading.rsplit(" › ", 1)[-1]))
    is_title = words_of(heading) == words_of(part.document.title)
    return "" if is_title or len(heading) > TITLE_CHARACTERS * 2 else heading


def _plain(text: str) -> str:
    """Takes the marks of Markdown away."""
    return _one_line(_MARKS.sub(lambda mark: mark[2] or "", text))


def _one_line(text: str) -> str:
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def _short(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"
