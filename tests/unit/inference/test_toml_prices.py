"""The file of prices: what it says is read exactly, and what is wrong in it is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from parley_inference.adapters.toml_prices import MOST_BYTES, PricesError, read_prices
from parley_inference.domain.prices import PriceList, TokenPrice


def prices_of(folder: Path, text: str | bytes) -> dict[str, TokenPrice]:
    file = folder / "prices.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return dict(read_prices(file))


@pytest.mark.parametrize(
    ("given", "micros"),
    [
        ("0", 0),
        ("2", 2_000_000),
        ("0.25", 250_000),
        ('"0.25"', 250_000),
        ("0.000001", 1),
        # Read as binary floating point, these end one off.
        ("1.005", 1_005_000),
        ("0.29", 290_000),
        ("4.35", 4_350_000),
        ("1e-6", 1),
        ("1000000", 10**12),
    ],
)
def test_a_price_is_read_exactly_as_it_is_written(tmp_path: Path, given: str, micros: int) -> None:
    text = f'["m"]\ninput = {given}\noutput = {given}\ncached_input = {given}\ncache_write_input = {given}\n'
    assert prices_of(tmp_path, text) == {"m": TokenPrice(micros, micros, micros, micros)}


def test_without_a_price_of_its_own_cached_input_costs_what_input_costs(tmp_path: Path) -> None:
    # And what is put into a provider's cache costs the same, too.
    assert prices_of(tmp_path, '["org/m-1.5"]\ninput = 3\noutput = 15\n') == {
        "org/m-1.5": TokenPrice(3_000_000, 15_000_000, 3_000_000, 3_000_000)
    }


@pytest.mark.parametrize(
    "given",
    [
        "-1",
        "-0.01",
        "nan",
        "inf",
        '"free"',
        '""',
        "true",
        "[1]",
        "2026-01-01",
        "0.0000001",
        "1000000.01",
        "1e99",
        '"1e999999999"',
        '"1e-999999999"',
    ],
)
@pytest.mark.parametrize("field", ["input", "output", "cached_input", "cache_write_input"])
def test_what_is_no_price_is_told_with_its_model_and_field(tmp_path: Path, field: str, given: str) -> None:
    prices = {"input": "1", "output": "1"} | {field: given}
    text = '["good"]\ninput = 1\noutput = 1\n["bad-1"]\n' + "".join(f"{name} = {one}\n" for name, one in prices.items())
    with pytest.raises(PricesError, match=f"in the {field} of the model 'bad-1'"):
        prices_of(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["m"]\ninput = 1\n["m"]\n', "line 3"),
        ('["m"]\ninput = \n', "line 2"),
        (b'["m"]\ninput = "\xff"\n', "line 2"),
        ("a = 1\n", "no table for the model 'a': write \\[\"a\"\\]"),
        ('["m"]\noutput = 1\n', "not say the input price of the model 'm'"),
        ('["m"]\ninput = 1\n', "not say the output price of the model 'm'"),
        ('["m"]\ninput = 1\noutput = 1\nouptut = 1\n', "says 'ouptut' of the model 'm'"),
        ("[gpt-4.1]\ninput = 1\noutput = 1\n", "the model 'gpt-4'; .* quotation marks"),
        ('[""]\ninput = 1\noutput = 1\n', "can have no such name"),
        ('["m"]\ninput = ' + "9" * 5_000 + "\noutput = 1\n", "is not TOML|no price"),
        ("m = " + "[" * 5_000 + "]" * 5_000, "is not TOML"),
        ("#" * (MOST_BYTES + 1), "larger than"),
        ("\n".join(f'["m{number}"]' for number in range(2_001)), "more than 2000 models"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(PricesError, match=words) as raised:
        prices_of(tmp_path, text)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(PricesError, match="cannot be read: No such file"):
        read_prices(tmp_path / "none.toml")
    with pytest.raises(PricesError, match="cannot be read"):
        read_prices(tmp_path)


def test_a_name_with_its_provider_wins_and_who_is_not_named_has_no_price() -> None:
    one, other = TokenPrice(1, 1, 1, 1), TokenPrice(2, 2, 2, 2)
    prices = PriceList({"m": one, "ollama/m": other})
    assert prices.price_of("openai", "m") == one
    assert prices.price_of("ollama", "m") == other
    assert prices.price_of("openai", "other") is None
