"""What a cache of answers keeps, for how long, and what it lets go of first."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from parley_inference.domain.models import CHAT, Model
from parley_inference.domain.prompt import GenerationRequest, Passage, PromptImage, PromptMessage, Role, Sampling, Tool
from parley_inference.operations.answer_cache import AnswerCache, KeptAnswer, key_of

MODEL = Model("m", "p", CHAT)
ASKED = GenerationRequest((PromptMessage(Role.USER, "Why?"),))


def answer(text: str = "Because.") -> KeptAnswer:
    return KeptAnswer(text, "", "m", "p", offline=False)


class Clock:
    """A clock that stands until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_given_for_as_long_as_both_its_keeper_and_its_reader_want() -> None:
    clock = Clock()
    cache = AnswerCache(10_000, clock=clock)
    cache.put(b"a", answer(), 60)
    clock.now += 10
    assert cache.get(b"a", 5) is None
    assert cache.get(b"a", 10) == answer()
    clock.now += 50
    assert cache.get(b"a", 86_400) == answer()
    clock.now += 1
    assert cache.get(b"a", 86_400) is None
    assert cache.used_bytes == 0


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = AnswerCache(100_000, clock=Clock(), most_entries=2)
    cache.put(b"a", answer(), 60)
    cache.put(b"b", answer(), 60)
    assert cache.get(b"a", 60) is not None
    cache.put(b"c", answer(), 60)
    assert [cache.get(key, 60) is not None for key in (b"a", b"b", b"c")] == [True, False, True]


def test_one_that_is_larger_than_the_whole_is_not_kept_and_drives_nothing_out() -> None:
    cache = AnswerCache(5_000, clock=Clock())
    cache.put(b"a", answer(), 60)
    cache.put(b"b", answer("x" * 2_000), 60)
    assert cache.get(b"a", 60) is not None
    assert cache.get(b"b", 60) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 900)), max_size=60))
def test_it_never_takes_more_than_it_may(puts: list[tuple[int, int]]) -> None:
    cache = AnswerCache(8_000, clock=Clock(), most_entries=5)
    for key, size in puts:
        cache.put(bytes([key]), answer("x" * size), 60)
        assert 0 <= cache.used_bytes <= 8_000


def test_a_key_depends_on_all_that_is_asked_on_the_model_and_on_the_user() -> None:
    image = PromptImage("image/png", b"1")
    others = [
        replace(ASKED, messages=(PromptMessage(Role.USER, "How?"),)),
        replace(ASKED, messages=(PromptMessage(Role.USER, "Why?", images=(image,)),)),
        replace(ASKED, messages=(PromptMessage(Role.USER, "Why?", images=(replace(image, data=b"2"),)),)),
        replace(ASKED, passages=(Passage(1, "t", "x"),)),
        replace(ASKED, tools=(Tool("t", "", {}),)),
        replace(ASKED, sampling=Sampling(temperature=0.0)),
        replace(ASKED, answer_so_far="B"),
        replace(ASKED, response_schema={}),
        replace(ASKED, agent_id="a"),
    ]
    keys = [key_of(request, MODEL, "u") for request in [ASKED, *others]]
    keys += [key_of(ASKED, replace(MODEL, name="n"), "u"), key_of(ASKED, replace(MODEL, provider="q"), "u")]
    keys += [key_of(ASKED, MODEL, "v")]
    assert len(set(keys)) == len(keys)


def test_a_key_depends_neither_on_how_a_model_is_called_nor_on_the_order_of_a_schema() -> None:
    one = key_of(replace(ASKED, model="fast", cache_seconds=5, response_schema={"a": 1, "b": 2}), MODEL, "u")
    assert one == key_of(replace(ASKED, model="m", cache_seconds=9, response_schema={"b": 2, "a": 1}), MODEL, "u")
