"""The toy service, ready to be called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parley_testing.toy_service import Toy, running_toy


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Toy]:
    async with running_toy(tmp_path) as toy:
        yield toy
