"""`Stemmer` with the Snowball algorithms (PyStemmer)."""

from __future__ import annotations

import threading

import Stemmer  # type: ignore[import-not-found]  # A compiled module without types.


class SnowballStemmer:
    """Stems words of one language. One stemmer per thread, because one keeps state while it works."""

    def __init__(self, language: str) -> None:
        """`language` is one of `languages()`."""
        self.language = language
        self._threads = threading.local()

    def __call__(self, word: str, /) -> str:
        """See `Stemmer`."""
        stemmer = getattr(self._threads, "stemmer", None)
        if stemmer is None:
            stemmer = self._threads.stemmer = Stemmer.Stemmer(self.language)
        return str(stemmer.stemWord(word))


def languages() -> list[str]:
    """The languages there are, in English and small letters."""
    return sorted(Stemmer.algorithms())
