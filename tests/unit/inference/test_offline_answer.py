"""What the built-in model takes from passages, and how it cites them."""

from __future__ import annotations

import re
import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_inference.adapters.offline_answer import answer_from
from parley_inference.domain.prompt import Passage

Passages = tuple[Passage, ...]


def answered(passages: Passages, question: str, earlier: str = "") -> str:
    answer = answer_from(passages, question, earlier)
    assert answer is not None
    return answer


def test_a_how_to_is_answered_with_its_section_lists_and_code_whole(passages: Passages) -> None:
    assert answered(passages, "How do I add a provider?") == (
        "*Contributing*, “Add a provider” says [1]:\n\n"
        "A provider that speaks the OpenAI API needs no code: set its variables and restart [1].\n\n"
        "Any other provider is one adapter [1]:\n\n"
        "1. Write `services/inference/parley_inference/adapters/<name>_model.py`. It implements the port `LanguageModel`.\n"
        "2. Plug it in in `bootstrap.py`.\n"
        "3. Run the suite of the port on it: add it to the fixture `case` in `tests/adapters/inference/conftest.py`.\n\n"
        "Like this [1]:\n\n"
        '```bash\nmake test ARGS="-k language_model"\n```'
    )


def test_the_order_in_which_passages_are_found_decides_only_between_equals(passages: Passages) -> None:
    provider, rpc, *rest = passages
    turned = tuple(
        Passage(number, one.title, one.text, one.heading) for number, one in enumerate((*rest, rpc, provider), start=1)
    )
    answer = answered(turned, "How do I add a provider?")
    assert answer.startswith("*Contributing*, “Add a provider” says [4]:")
    assert "[1]" not in answer


def test_a_fact_is_answered_with_the_sentences_that_say_it(passages: Passages) -> None:
    answer = answered(passages, "Which port does the edge listen on?")
    assert "The edge listens on port 8080 [4]." in answer
    assert "tabby" not in answer


def test_a_sentence_that_leans_on_the_one_before_brings_it_along() -> None:
    passage = Passage(1, "T", "Zebras live in herds. They graze the savanna at dawn. Lions sleep.")
    assert (
        answered((passage,), "graze the savanna at dawn")
        == "Zebras live in herds [1]. They graze the savanna at dawn [1]."
    )


def test_what_something_is_is_answered_with_its_definition(passages: Passages) -> None:
    answer = answered(passages, "What is Parley?")
    assert answer.startswith("Parley is a contract-first backend for AI chat [4]. It is three gRPC services")


def test_a_row_of_a_table_is_quoted_under_its_head(passages: Passages) -> None:
    answer = answered(passages, "Where does Ollama listen?")
    assert answer == (
        "*parley-inference*, “Settings” [3]:\n\n| variable | what it says |\n|---|---|\n| `OLLAMA_HOST` | where Ollama listens |"
    )


def test_rows_whose_head_is_in_another_passage_become_items() -> None:
    passage = Passage(1, "T", "| `A_KEY` | opens the door |\n| `B_KEY` | closes the window |")
    assert answered((passage,), "what closes the window?") == "- `B_KEY` · closes the window [1]"


def test_links_and_references_of_a_document_do_not_pass_for_ours() -> None:
    passage = Passage(
        1, "T", "Turn the key of the engine [7], see [the manual](manual.md) or [the site](https://example.org)."
    )
    assert answered((passage,), "turn the key of the engine") == (
        "Turn the key of the engine (7), see the manual or [the site](https://example.org) [1]."
    )


def test_an_abbreviation_ends_no_sentence(passages: Passages) -> None:
    assert "Cats, e.g. tabby cats, sleep for most of the day [4]." in answered(passages, "What do tabby cats do?")


@pytest.mark.parametrize(
    "question", ["What is the capital of France?", "How do I bake a chocolate cake?", "xyzzy", "the of and", "???", ""]
)
def test_what_no_passage_speaks_of_is_not_answered(passages: Passages, question: str) -> None:
    assert answer_from(passages, question) is None


def test_one_common_word_is_not_enough(passages: Passages) -> None:
    assert answer_from(passages, "Which key opens the treasure chest of the pirates?") is None


def test_without_passages_there_is_no_answer() -> None:
    assert answer_from((), "How do I add a provider?") is None


def test_forms_of_a_word_are_the_same_word() -> None:
    passage = Passage(1, "T", "Installing needs Python. Configuration happens in one file.")
    assert "Configuration happens in one file [1]." in answered((passage,), "how is it configured?")
    assert "Installing needs Python [1]." in answered((passage,), "installation")


def test_a_short_follow_up_is_understood_by_the_question_before(passages: Passages) -> None:
    answer = answer_from(passages, "And with code?", "How do I add a provider?")
    assert answer is not None
    assert "[1]" in answer


def test_a_section_that_was_cut_into_two_passages_is_put_together_without_repeating() -> None:
    first = Passage(1, "Guide", "Buy an engine.\n\nTurn the key.", "Start the engine")
    second = Passage(2, "Guide", "Turn the key.\n\nWait for the lamp.", "Start the engine")
    answer = answered((first, second), "How do I start the engine?")
    assert answer.count("Turn the key") == 1
    assert "Buy an engine [1]." in answer
    assert "Wait for the lamp [2]." in answer


def test_another_section_about_it_is_named() -> None:
    one = Passage(1, "Guide", "Turn the key.", "Start the engine")
    other = Passage(2, "Manual", "Push the button.", "Start the engine on boats")
    assert "See also *Manual*, “Start the engine on boats” [2]." in answered((one, other), "How do I start the engine?")


def test_a_long_section_is_cut_and_says_so() -> None:
    text = "\n\n".join(
        f"Step {number}: start something of the engine again. {'And wait. ' * 20}" for number in range(40)
    )
    answer = answered((Passage(1, "Guide", text, "Start the engine"),), "How do I start the engine?")
    assert len(answer) < 2500
    assert answer.endswith("There is more under *Guide*, “Start the engine”.")


def test_code_that_the_end_of_a_passage_cut_off_is_closed() -> None:
    answer = answered((Passage(1, "Guide", "Run this:\n\n```bash\nmake run", "Start"),), "start")
    assert answer.count("```") == 2


def test_every_statement_is_a_passages_own(passages: Passages) -> None:
    quoted = " ".join(" ".join(passage.text.split()) for passage in passages)
    for question in ("Which port does the edge listen on?", "What is Parley?", "What do tabby cats do?"):
        plain = re.sub(r" \[\d+\]", "", answered(passages, question))
        assert " ".join(plain.split()) in quoted


def test_every_citation_names_a_passage_that_is_there(passages: Passages) -> None:
    words = ["provider", "edge", "port", "key", "rpc", "gen", "ollama", "adapter", "cats", "proto"]
    for pair in combinations(words, 2):
        for number in re.findall(r"\[(\d+)\]", answer_from(passages, " ".join(pair)) or ""):
            assert 1 <= int(number) <= len(passages)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab #`|-*1.\n\t:()[]>é_~", max_size=300), st.text(alphabet="ab #`\n", max_size=40))
def test_no_text_is_too_strange(text: str, question: str) -> None:
    answer_from((Passage(1, "a b", f"ab {text}", "a › b"), Passage(2, "", text or "x")), question)


@pytest.mark.parametrize(
    "text",
    [
        "# " + " " * 20_000 + "x",
        "." * 20_000 + " word",
        "`. A" * 5_000,
        "- word\n" * 2_500,
        "| word |\n" * 2_000,
        ("word. " * 3_000),
        "*_)" * 6_000 + "word",
        "word" * 5_000,
    ],
)
def test_hostile_passages_take_no_longer_than_friendly_ones(text: str) -> None:
    started = time.process_time()
    answer_from(tuple(Passage(number, "t", text[:20_000], "word") for number in range(1, 51)), "word other")
    # A bound against exploding patterns, which take minutes, and no measurement.
    assert time.process_time() - started < 20
