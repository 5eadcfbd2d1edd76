"""What the built-in model does for agents: it cannot follow instructions, so their files name one of a few skills that need none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from parley_inference.adapters.offline_plan import plan_of
from parley_inference.adapters.offline_summary import summary_of, without_wish
from parley_inference.adapters.offline_table import description_of, table_of
from parley_inference.domain.prompt import OfflineSkill

NO_TEXT = "There is no text to summarize in your message. Paste it, and I pick the sentences that say the most."
NO_TABLE = (
    "I found no table in your message. Paste one with the names of its columns in the first line: separated by commas, semicolons or "
    "tabs, or as Markdown."
)
QUESTIONS_FOR_STEPS = """\
The answers to four questions give them:

1. What will be true when it is done?
2. What is there already, and what is missing?
3. What has to happen first, because other things wait for it?
4. Who does what, and by when?

Write what has to be done, one thing on each line, and I make a numbered plan of it."""

_MOST_SENTENCES_OF_A_PARAGRAPH = 3

WHAT_IT_DOES: Mapping[OfflineSkill, str] = {
    OfflineSkill.ANSWER: "only quotes documents",
    OfflineSkill.SUMMARY: "only picks sentences, word for word",
    OfflineSkill.PLAN: "only numbers what you wrote",
    OfflineSkill.TABLE: "only counts and computes",
}
"""Of each skill, what the note says of the model: "… which …"."""


def skilled_answer(skill: OfflineSkill, texts: Sequence[str]) -> str | None:
    """The answer to the last of a user's texts, which are not none; None where the skill is to quote passages."""
    answer = _ANSWERS.get(skill)
    return None if answer is None else answer(texts)


def _summarized(texts: Sequence[str]) -> str:
    summary = summary_of(without_wish(texts[-1]))
    if summary is None:
        return NO_TEXT
    if len(summary.sentences) <= _MOST_SENTENCES_OF_A_PARAGRAPH:
        said = " ".join(summary.sentences)
    else:
        said = "\n".join(f"- {sentence}" for sentence in summary.sentences)
    if len(summary.sentences) == summary.of:
        return said
    return f"What the text says, in {len(summary.sentences)} of its {summary.of} sentences:\n\n{said}"


def _planned(texts: Sequence[str]) -> str:
    plan = plan_of(texts[-1])
    if not plan.steps:
        about = f" for “{plan.goal}”" if plan.goal else ""
        return f"Your message names no steps{about}, and I cannot think of any myself. {QUESTIONS_FOR_STEPS}"
    goal = f"**Goal:** {plan.goal}\n\n" if plan.goal else ""
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(plan.steps, start=1))
    return f"{goal}{steps}\n\nThese are your own steps, in your order. Add to each who does it, by when, and what it waits for."


def _described(texts: Sequence[str]) -> str:
    # A question about a table that was pasted earlier goes on from it.
    for text in reversed(texts):
        if (table := table_of(text)) is not None:
            asked = table.around if text is texts[-1] else texts[-1]
            return description_of(replace(table, around=asked))
    return NO_TABLE


_ANSWERS: Mapping[OfflineSkill, Callable[[Sequence[str]], str]] = {
    OfflineSkill.SUMMARY: _summarized,
    OfflineSkill.PLAN: _planned,
    OfflineSkill.TABLE: _described,
}
