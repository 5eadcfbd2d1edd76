"""All of Parley in this process, for tests that ask every service the same."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from parley_testing.whole_parley import WholeParley, whole_parley


@pytest.fixture(scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WholeParley]:
    """One for all tests of a file."""
    # What users name is looked for on this machine, where nothing is.
    home = tmp_path_factory.mktemp("whole")
    async with whole_parley(home, PARLEY_CHAT_OUTBOUND_PRIVATE_ADDRESSES="true") as running:
        yield running
