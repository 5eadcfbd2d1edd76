"""The release of this package, as calls announce it. The number itself is kept in pyproject.toml."""

from __future__ import annotations

VERSION = "0.1.0"
