"""Parley's own guide as a collection to search in: each section is a passage, and its heading, which is a question, asks for it.

The headings are not part of what is searched. Code is left out of the sections, and so are those of fewer than twenty words. That makes
about 160 passages of 80 words: as long as those that people's documents are cut into.

The semantic leg is latent semantic analysis (Deerwester et al., 1990) over groups of three to five characters, made of the collection
itself: it knows no more than the texts do, needs no download, and gives the same vectors each time. A real embedding model knows more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

DIMENSIONS = 128
FOLDER = Path(__file__).parents[2] / "docs" / "guide"
_LEAST_WORDS = 20
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def sections() -> tuple[dict[str, str], list[tuple[str, dict[str, int]]]]:
    """The passages by name, and each question with the passage that answers it."""
    passages: dict[str, str] = {}
    asked: list[tuple[str, dict[str, int]]] = []
    for path in sorted(FOLDER.glob("*.md")):
        text = _CODE.sub("", path.read_text(encoding="utf-8"))
        for number, section in enumerate(_SECTION.finditer(text)):
            body = section[2].strip()
            if len(body.split()) >= _LEAST_WORDS:
                name = f"{path.stem}-{number}"
                passages[name] = body
                asked.append((section[1].strip(), {name: 2}))
    return passages, asked


def latent_vectors(passages: Mapping[str, str]) -> Callable[[str], Sequence[float]]:
    """Makes the vector of any text by what the passages say together."""
    terms = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    latent = TruncatedSVD(DIMENSIONS, random_state=0)
    latent.fit(terms.fit_transform(passages.values()))

    def vector(text: str) -> Sequence[float]:
        values: list[float] = latent.transform(terms.transform([text]))[0].tolist()
        return values

    return vector
