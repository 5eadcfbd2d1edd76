"""All of Parley in this process, for tests that ask every service the same."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from parley_testing.whole_parley import WholeParley, whole_parley


@pytest.fixture(scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WholeParley]:
    """One for all tests of a file."""
    async with whole_parley(tmp_path_factory.mktemp("whole")) as running:
        yield running
