"""An object store of the run's own that speaks S3 (moto's server): in a process of its own, on a free port, in memory, gone at the end.

Conftests and tests that need it import the fixture: `from parley_testing.object_store import object_store`.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

ACCESS_KEY_ID, SECRET_ACCESS_KEY = "test-key-id", "test-key-which-is-secret"
_START_SECONDS = 60
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class ObjectStore:
    """A server with as many buckets as tests want. Any key is good for it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        self._numbers = itertools.count(1)

    def new_bucket(self) -> str:
        """Makes an empty bucket."""
        bucket = f"bucket-{next(self._numbers)}"
        request = urllib.request.Request(f"{self.url}/{bucket}", method="PUT")
        with urllib.request.urlopen(request, timeout=_START_SECONDS):
            return bucket

    def stop(self) -> None:
        """Ends it."""
        self._process.communicate()


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """A running object store."""
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        store = ObjectStore(process)
        yield store
        store.stop()
