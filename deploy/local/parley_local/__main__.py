"""Runs Parley on this machine: `python -m parley_local`, which is what `parley up` does."""

from __future__ import annotations

import sys

from parley_local.up import run

if __name__ == "__main__":
    sys.exit(run())
