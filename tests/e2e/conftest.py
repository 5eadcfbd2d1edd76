"""Running Parleys for the tests that go through the edge. See parley_testing.mesh for what they offer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from parley_testing.mesh import Mesh


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """One Parley with the embedded defaults (no key, offline model), for all tests of the session that do not break it."""
    with Mesh.start(tmp_path_factory.mktemp("mesh") / "home") as running:
        yield running


@pytest.fixture
def start_mesh(tmp_path: Path) -> Iterator[Callable[..., Mesh]]:
    """Starts a Parley of the test's own, with settings of its own, and stops it: `start_mesh({"OPENAI_BASE_URL": …})`."""
    with ExitStack() as running:

        def start(environment: Mapping[str, str] | None = None, *, home: str = "home") -> Mesh:
            return running.enter_context(Mesh.start(tmp_path / home, environment))

        yield start
