"""Vectors that are kept: by what they are of, and within bounds."""

from __future__ import annotations

from array import array

from parley_inference.operations.embedding_cache import EmbeddingCache


def vector(*values: float) -> array[float]:
    return array("f", values)


def key(text: str) -> bytes:
    return EmbeddingCache.key("openai", "small", text)


def test_what_was_put_in_is_found_again_and_nothing_else() -> None:
    cache = EmbeddingCache(10_000)
    cache.put(key("one"), vector(1, 2))
    assert cache.get(key("one")) == vector(1, 2)
    assert cache.get(key("two")) is None


def test_another_model_or_provider_has_other_keys() -> None:
    keys = {
        EmbeddingCache.key("openai", "small", "text"),
        EmbeddingCache.key("openai", "smallt", "ext"),
        EmbeddingCache.key("openai", "large", "text"),
        EmbeddingCache.key("ollama", "small", "text"),
        EmbeddingCache.key("ollamas", "mall", "text"),
    }
    assert len(keys) == 5


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = EmbeddingCache(2 * (100 * 4 + 200))
    one, two, three = (vector(*[number] * 100) for number in range(3))
    cache.put(key("one"), one)
    cache.put(key("two"), two)
    assert cache.get(key("one")) == one
    cache.put(key("three"), three)
    assert cache.get(key("two")) is None
    assert cache.get(key("one")) == one
    assert cache.get(key("three")) == three


def test_it_never_takes_more_than_it_may() -> None:
    cache = EmbeddingCache(5_000)
    for number in range(200):
        cache.put(key(str(number % 70)), vector(*[1.0] * (number % 50 + 1)))
        assert 0 < cache.used_bytes <= 5_000
    cache.put(key("huge"), vector(*[1.0] * 5_000))
    assert cache.get(key("huge")) is None
    assert cache.used_bytes <= 5_000


def test_of_no_room_nothing_is_kept() -> None:
    cache = EmbeddingCache(0)
    cache.put(key("one"), vector(1))
    assert cache.get(key("one")) is None
    assert cache.used_bytes == 0
