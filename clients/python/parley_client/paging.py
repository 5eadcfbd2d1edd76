"""Long lists, page by page, as one iteration. A page is asked for when its first item is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Protocol, TypeVar


class _Page(Protocol):
    @property
    def next_page_token(self) -> str: ...


Page = TypeVar("Page", bound=_Page)
Item = TypeVar("Item")


async def items_of_pages(
    page: Callable[[str], Awaitable[Page]], items: Callable[[Page], Iterable[Item]]
) -> AsyncIterator[Item]:
    """Every item of every page. `page` gets the page token, empty for the first."""
    token = ""
    while True:
        response = await page(token)
        for item in items(response):
            yield item
        token = response.next_page_token
        if not token:
            return
