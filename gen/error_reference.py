"""The table of docs/guide/errors.md, made from the comments of `parley.errors.v1.ErrorReason`. `generate.py` runs it.

A comment says what happened, which status it has, in a paragraph "To do:" what a caller does about it, and in the last one an example,
whose keys are the metadata. What stands around the table is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Final

from google.protobuf import descriptor_pb2

BEGIN: Final = "<!-- Made by `make gen` from protos/parley/errors/v1/error_reason.proto: change it there. -->\n"
END: Final = "<!-- The end of what `make gen` makes. -->\n"

_STATUS: Final = re.compile(r"\b([A-Z]{3,}(?:_[A-Z]+)*)\b(?=[.,:;]| )")
_STATUSES: Final = frozenset(
    {
        "CANCELLED", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION", "ABORTED", "INTERNAL", "UNAVAILABLE", "UNAUTHENTICATED",
    }
)  # fmt: skip


def table(contract: descriptor_pb2.FileDescriptorSet) -> str:
    """One row for each reason that is ever sent, in the order of the contract."""
    [file] = [file for file in contract.file if file.package == "parley.errors.v1"]
    [enum] = file.enum_type
    # In descriptor.proto: enum_type is 5 of a file, value is 2 of an enum.
    comments = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}
    rows = ["| reason | status | what happened | metadata | what to do |", "|---|---|---|---|---|"]
    rows += [
        _row(value.name, comments.get((5, 0, 2, place), "")) for place, value in enumerate(enum.value) if value.number
    ]
    return "\n".join(rows) + "\n"


def _row(name: str, comment: str) -> str:
    parts = [" ".join(part.split()) for part in re.split(r"\n *\n", comment) if part.strip()]
    to_do = [part.removeprefix("To do: ") for part in parts if part.startswith("To do: ")]
    examples = [part.partition("`")[2].rstrip("`") for part in parts if part.startswith("Example: ")]
    words = " ".join(part for part in parts if not part.startswith(("To do: ", "Example: ")))
    statuses = [found for found in _STATUS.findall(words) if found in _STATUSES]
    keys = sorted(json.loads(examples[0]).get("metadata", {})) if examples else []
    cells = [
        f"`{name}`",
        statuses[0] if statuses else "",
        # A sentence that is nothing but the status has its own column.
        re.sub(rf" ?\b{statuses[0]}\.(?= |$)" if statuses else "$^", "", words).strip().replace("|", "\\|"),
        ", ".join(f"`{key}`" for key in keys),
        to_do[0].replace("|", "\\|") if to_do else "",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Writes the table from the image of buf in the first argument into the guide that the second one names."""
    contract = descriptor_pb2.FileDescriptorSet.FromString(Path(sys.argv[1]).read_bytes())
    guide = Path(sys.argv[2])
    before, begin, rest = guide.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = f"{guide} has no place for the table of errors"
        raise SystemExit(message)
    guide.write_text(f"{before}{BEGIN}\n{table(contract)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
