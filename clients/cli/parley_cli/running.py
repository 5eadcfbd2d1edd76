"""Runs the asynchronous part of a command: a client for it, and errors in words at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from parley_cli.place import CommandError, Place, find_place, find_tokens

if TYPE_CHECKING:
    from parley_client import Parley

Work = Callable[["Parley", Place], Coroutine[object, object, int]]


def run_with_parley(address: str | None, token: str | None, work: Work) -> None:
    """Finds Parley, connects, and does the work. Ends the command with the exit code that the work returns."""
    with errors_in_words(address):
        place = find_place(address)

        async def main() -> int:
            async with open_parley(place, token) as client:
                return await work(client, place)

        code = asyncio.run(main())
    raise typer.Exit(code)


@asynccontextmanager
async def open_parley(place: Place, token: str | None) -> AsyncIterator[Parley]:
    """A client of the Parley at a place."""
    from parley_client import Parley  # noqa: PLC0415 - `parley --help` does not wait for gRPC

    async with Parley.connect(place.address, token_provider=find_tokens(place, token)) as client:
        yield client


@contextmanager
def errors_in_words(address: str | None) -> Iterator[None]:
    """Ends the command with words on standard error rather than a traceback: 1, or 2 for an address that is none."""
    from parley_client import AddressError, ParleyError  # noqa: PLC0415 - as above

    from parley_cli.failures import in_words  # noqa: PLC0415 - as above

    try:
        yield
    except CommandError as error:
        fail(str(error), error.exit_code)
    except ParleyError as error:
        fail(in_words(error, address or _known_address()))
    except AddressError as error:
        fail(str(error), 2)


def fail(message: str, exit_code: int = 1) -> NoReturn:
    """Says what went wrong and ends the command."""
    typer.echo(message, err=True)
    raise typer.Exit(exit_code)


def _known_address() -> str:
    try:
        return find_place(None).address
    except CommandError:
        return "its address"
