"""Generates the code of the contracts: `make gen`. buf is the only parser; grpc_tools gets buf's image.

Everything under gen/python/parley and gen/ts/src is this script's and is rewritten whole; to gen/golden it only adds, and the
table in docs/guide/errors.md it replaces.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build"
PYTHON_OUT = ROOT / "gen" / "python"
TYPESCRIPT_OUT = ROOT / "gen" / "ts" / "src"
BIN = Path(sys.executable).parent

# A page decodes the details of errors, and uploads name HttpBody; other Google types come with the protobuf runtime. Without comments.
ERROR_DETAILS_TEMPLATE = (
    '{"version":"v2","plugins":[{"local":"node_modules/.bin/protoc-gen-es","out":"gen/ts/src","opt":["target=ts"]}]}'
)


TOOL_PACKAGES = ("parley.workspace.v1",)
"""Whose rpcs models reach as tools: what a model is told of them are the contract's own comments."""


def run(*command: str | Path) -> None:
    """Runs a tool in the root with the environment's own tools first, and stops when it fails."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([str(part) for part in command], cwd=ROOT, env={**os.environ, "PATH": path}, check=True)


def main() -> None:
    """Rewrites gen/python/parley and gen/ts/src, adds to gen/golden."""
    image = BUILD / "contract-with-comments.binpb"
    run(BIN / "buf", "build", "-o", image)
    contract = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    ours = [file.name for file in contract.file if file.name.startswith("parley/")]

    package = PYTHON_OUT / "parley"
    shutil.rmtree(package, ignore_errors=True)
    outs = [f"--{kind}_out={PYTHON_OUT}" for kind in ("python", "grpc_python")]
    # Type stubs carry the contract's comments as docstrings.
    outs += [f"--mypy_out=quiet:{PYTHON_OUT}", f"--mypy_grpc_out=quiet:{PYTHON_OUT}"]
    run(sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={image}", *outs, *ours)
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (folder / "__init__.py").write_text("")
    (package / "py.typed").write_text("")

    # What the edge transcodes by and what tools read when reflection is off: google.rpc's error details included.
    run(BIN / "buf", "build", "--exclude-source-info", "-o", package / "contract.binpb")

    comments = {name: text for file in contract.file if file.package in TOOL_PACKAGES for name, text in _comments(file)}
    (package / "tool_comments.json").write_text(json.dumps(comments, indent=1, ensure_ascii=False) + "\n")

    # These read the generated code, which is there only now.
    run(sys.executable, "gen/openapi.py", image, package / "openapi.json")
    run(sys.executable, "gen/error_reference.py", image, "docs/guide/errors.md")
    run(sys.executable, "gen/golden.py", package / "contract.binpb", "gen/golden")

    run(BIN / "buf", "generate")
    run(
        BIN / "buf", "generate", package / "contract.binpb",
        "--path", "google/rpc/error_details.proto", "--path", "google/api/httpbody.proto", "--template", ERROR_DETAILS_TEMPLATE,
    )  # fmt: skip


def _comments(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """What stands above each rpc and each field of a file, by full name, as one line."""
    at = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
    for number, service in enumerate(file.service):
        for place, method in enumerate(service.method):
            yield f"{file.package}.{service.name}.{method.name}", " ".join(at.get((6, number, 2, place), "").split())
    for number, message in enumerate(file.message_type):
        for place, field in enumerate(message.field):
            yield f"{file.package}.{message.name}.{field.name}", " ".join(at.get((4, number, 2, place), "").split())


if __name__ == "__main__":
    main()
