"""Vectors of a model that was trained: the mean of 256 numbers for each piece of a word, from the package WordLlama (`l2_supercat`).

Small as such models go, and not made for the texts of the bench. It is not part of Parley: `make bench-retrieval` installs it beside.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

DIMENSIONS = 256
FOLDER = Path(".build/bench/model")


def vectors() -> Callable[[str], Sequence[float]] | None:
    """Makes the vector of any text, of length 1. None where the model's package cannot be had."""
    model = FOLDER / "wordllama"
    if not model.is_dir():
        return None
    sys.path.append(str(FOLDER))
    load_file = import_module("safetensors.numpy").load_file
    tokenizer = import_module("tokenizers").Tokenizer.from_file(
        str(model / "tokenizers" / "l2_supercat_tokenizer_config.json")
    )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    pieces = load_file(str(model / "weights" / "l2_supercat_256.safetensors"))["embedding.weight"].astype(np.float32)

    def vector(text: str) -> Sequence[float]:
        mean = pieces[tokenizer.encode(text, add_special_tokens=False).ids].mean(axis=0)
        values: list[float] = (mean / np.linalg.norm(mean)).tolist()
        return values

    return vector
