"""The grpcurl cookbook, run line by line as somebody would who follows it: each line works, and stands on those above it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from parley_testing.mesh import Mesh
from parley_testing.tools import ROOT, require_tool

COOKBOOK = ROOT / "docs" / "guide" / "grpcurl.md"
LINES = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```$", COOKBOOK.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
TOLD = {
    " list parley.chat": "parley.chat.v1.ChatService.StreamReply",
    "describe parley.chat.v1.ChatService.SendMessage": "google.api.http",
    "-msg-template": '"clientMessageId"',
    "GetHealth": "SERVING_STATE_SERVING",
    "GetStatus": '"service": "retrieval"',
    "SignUp": '"refreshToken"',
    "StreamReply": '"completed"',
    "tee answer.json": '"citations"',
    "ResumeReply": '"completed"',
    "UpdateSession": '"title": "Providers"',
    "/Search": "closed on 1 May",
    "/Ingest": '"jobId"',
    "ListTasks": "Call the dentist",
    "ListEvents": "RESOURCE_TYPE_TASK",
    "WatchEvents": '"sequence"',
    '"message": ""': "ERROR_REASON_INVALID_FIELD",
}
"""What a line that holds the first says, among other things."""


@pytest.fixture(scope="module")
def said(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """What each line ended with and said, from one shell that runs them all."""
    require_tool("grpcurl")
    folder = tmp_path_factory.mktemp("cookbook")
    script = ["set -u -o pipefail"]
    for number, line in enumerate(LINES):
        here = line.replace("127.0.0.1:8080", mesh.grpc_address).replace(
            ".venv/bin/", f"{Path(sys.executable).parent}/"
        )
        script.append(f"{{ {here}\n}} >{number}.said 2>&1; echo $? >{number}.code")
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "PARLEY_HOME": str(mesh.home),
        "LC_ALL": "C.UTF-8",
    }
    subprocess.run(["bash", "-c", "\n".join(script)], cwd=folder, env=environment, timeout=110, check=True)
    return {
        line: (int((folder / f"{number}.code").read_text()), (folder / f"{number}.said").read_text(encoding="utf-8"))
        for number, line in enumerate(LINES)
    }


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_cookbook_works(said: dict[str, tuple[int, str]], line: str) -> None:
    code, words = said[line]
    assert code == 0, words
    for part, told in TOLD.items():
        if part in line:
            assert told in words


def test_everything_that_a_line_should_say_has_its_line() -> None:
    assert [part for part in TOLD if not any(part in line for line in LINES)] == []
