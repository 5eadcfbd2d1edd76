"""One version of a scoring model as a file, wherever it is kept: numbers and words in JSON; nothing in it can run.

Three lines: what it is with the SHA-256 of the rest, the card, and the model. It lies at `<hash of the user>/<name>/000001.json`.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime

from parley_inference.domain.lead_model_json import BYTES_MOST
from parley_inference.domain.model_card_json import read_card, written_card
from parley_inference.domain.scoring import ScoringModel, StoredModel, TrainedModel
from parley_inference.domain.scoring_errors import ScoringModelDamagedError

MODELS_MOST = 100
"""How many models a user may have."""
VERSIONS_KEPT = 10
"""How many versions of a model are kept, the newest."""
FILE_BYTES_MOST = BYTES_MOST + 1_000_000
"""A larger file is none of ours."""
_FORMAT = "parley-scoring-model-1"
_FILE_NAME = re.compile(r"(\d{6,9})\.json")


def folder_of_user(user_id: str) -> str:
    """The name of the user's folder: 32 hexadecimal digits, whatever the id is made of."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:32]


def file_name(version: int) -> str:
    """The name of a version's file."""
    return f"{version:06}.json"


def version_of_file(name: str) -> int:
    """The version that a file holds, from 1; 0 when it is no version's file."""
    match = _FILE_NAME.fullmatch(name)
    return int(match[1]) if match else 0


def written_scoring_model(name: str, create_time: datetime, trained: TrainedModel) -> bytes:
    """The file of a model."""
    about = {"name": name, "create_time": create_time.isoformat(), "card": written_card(trained.card)}
    rest = json.dumps(about, allow_nan=False, separators=(",", ":")).encode() + b"\n" + trained.lead_model + b"\n"
    head = {"format": _FORMAT, "sha256": hashlib.sha256(rest).hexdigest()}
    return json.dumps(head).encode() + b"\n" + rest


def read_scoring_model(name: str, version: int, content: bytes) -> StoredModel:
    """The model in a file. Raises ScoringModelDamagedError for what `written_scoring_model` does not write."""
    try:
        return _read(name, version, content)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ScoringModelDamagedError(name, version, f"{type(error).__name__}: {error}") from error


def _read(name: str, version: int, content: bytes) -> StoredModel:
    if len(content) > FILE_BYTES_MOST:
        raise ValueError("the file is too large")
    head, _, rest = content.partition(b"\n")
    if json.loads(head) != {"format": _FORMAT, "sha256": hashlib.sha256(rest).hexdigest()}:
        raise ValueError("the file is of another format, or was changed since it was written")
    written, _, lead_model = rest.partition(b"\n")
    about = json.loads(written)
    if about["name"] != name:
        raise ValueError("the file is of another model")
    create_time = datetime.fromisoformat(about["create_time"])
    return StoredModel(
        ScoringModel(name, version, create_time, read_card(about["card"])), lead_model.removesuffix(b"\n")
    )
