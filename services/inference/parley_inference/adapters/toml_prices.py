"""The prices of models, from a file of TOML: one table for each model, its prices in US dollars for a million tokens.

    ["gpt-example"]
    input = 0.25
    output = "2"
    cached_input = 0.025
    cache_write_input = 0.3125

Numbers are read as they are written: no price goes through binary floating point. Which file it is, is bootstrap's business.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from pathlib import Path
from typing import Any

from parley_inference.domain.prices import TokenPrice

MOST_BYTES = 1024 * 1024
MOST_MODELS = 2_000
MOST_DOLLARS = 1_000_000
_MOST_NAME = 400
_FIELDS = ("input", "output", "cached_input", "cache_write_input")
_MICROS = Decimal(1_000_000)
_EXACT = Context(prec=40, traps=[Inexact, InvalidOperation, Overflow])
"""Refuses what it would have to round."""


class PricesError(Exception):
    """A file that cannot be used. The message says in one line for a person where and why, and not which file it is."""


def read_prices(path: Path) -> Mapping[str, TokenPrice]:
    """The prices by the names of models. Raises PricesError."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise PricesError(f"cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise PricesError(f"is larger than {MOST_BYTES} bytes")
    try:
        tables = tomllib.loads(data.decode(), parse_float=Decimal)
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise PricesError(f"is not UTF-8 (line {line})") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        # Integers with thousands of digits are a ValueError that is not TOML's.
        raise PricesError(f"is not TOML: {error}") from None
    return prices_of(tables)


def prices_of(tables: Mapping[str, Any]) -> Mapping[str, TokenPrice]:
    """The prices of tables whose numbers were read as Decimal, by the names of models. Raises PricesError."""
    if len(tables) > MOST_MODELS:
        raise PricesError(f"names more than {MOST_MODELS} models")
    return {name: _price(name, table) for name, table in tables.items()}


def _price(name: str, table: Any) -> TokenPrice:
    if not name or len(name) > _MOST_NAME or not name.isprintable():
        raise PricesError(f"names a model that can have no such name: {name[:40]!r}")
    if not isinstance(table, dict):
        raise PricesError(f'has no table for the model {name!r}: write ["{name}"] above its prices')
    # A name with dots that stands without quotation marks is a table in a table.
    unknown = next((field for field in table if field not in _FIELDS), None)
    if unknown is not None:
        raise PricesError(
            f"says {unknown[:40]!r} of the model {name!r}; there are {', '.join(_FIELDS)}, and a name with dots needs quotation marks"
        )
    missing = next((field for field in ("input", "output") if field not in table), None)
    if missing is not None:
        raise PricesError(f"does not say the {missing} price of the model {name!r}")
    of_input = _micros(name, "input", table["input"])
    return TokenPrice(
        input_usd_micros=of_input,
        output_usd_micros=_micros(name, "output", table["output"]),
        cached_input_usd_micros=_micros(name, "cached_input", table["cached_input"])
        if "cached_input" in table
        else of_input,
        cache_write_input_usd_micros=_micros(name, "cache_write_input", table["cache_write_input"])
        if "cache_write_input" in table
        else of_input,
    )


def _micros(model: str, field: str, given: Any) -> int:
    """The price in millionths of a dollar."""
    try:
        if isinstance(given, bool) or not isinstance(given, int | str | Decimal):
            raise InvalidOperation
        dollars = Decimal(given)
        if not 0 <= dollars <= MOST_DOLLARS:
            raise InvalidOperation
        micros = _EXACT.multiply(dollars, _MICROS)
        if micros != int(micros):
            raise InvalidOperation
    except (ArithmeticError, ValueError):
        raise PricesError(
            f"has no price in the {field} of the model {model!r}: "
            f"it must be 0 to {MOST_DOLLARS} US dollars, with at most six decimal places"
        ) from None
    return int(micros)
