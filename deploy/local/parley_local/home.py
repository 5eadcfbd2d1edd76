"""$PARLEY_HOME: the folder itself, its lock, and ready.json, which tells others what runs and where."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from parley_shared.settings import SettingsError

READY_FILE = "ready.json"
TARGETS_FILE = "prometheus-targets.json"
_LARGEST_LOG_BYTES = 16 * 1024 * 1024


@contextmanager
def taken(home: Path) -> Iterator[None]:
    """Makes the folder when it is missing, for this user only, and holds it: one Parley per home.

    SettingsError when it cannot be made, or another Parley has it.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(home / "parley.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"PARLEY_HOME is {home}, which cannot be used: {error.strerror}."
        raise SettingsError("PARLEY_HOME", message) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError("PARLEY_HOME", _busy(home, handle)) from error
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        _remove_ready(home)
        yield
    finally:
        # The file stays: a lock is on the file that was opened, and a new one of the same name would be another lock.
        os.close(handle)


def write_ready(home: Path, facts: Mapping[str, Any]) -> None:
    """Writes ready.json so that a reader sees all of it or none, for this user only."""
    _write_whole(home, READY_FILE, facts)


def write_targets(home: Path, metrics: Mapping[str, str]) -> None:
    """Writes where each process tells its figures, by the process's name, as Prometheus reads it (file_sd_configs)."""
    targets = [
        {"targets": [address], "labels": {"job": f"parley-{name.partition('-')[0]}", "process": name}}
        for name, address in metrics.items()
    ]
    _write_whole(home, TARGETS_FILE, targets)


def remove_ready(home: Path) -> None:
    """Takes ready.json, and what Prometheus reads, away: what they say is no longer so."""
    _remove_ready(home)


def fresh_log(home: Path, name: str) -> Path:
    """The log file to append to; a large one of earlier runs is put aside first, in place of the one put aside before."""
    file = home / "logs" / name
    file.parent.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileNotFoundError):
        if file.stat().st_size > _LARGEST_LOG_BYTES:
            file.replace(file.with_suffix(".old.log"))
    file.touch(mode=0o600)
    return file


def _write_whole(home: Path, name: str, facts: object) -> None:
    unfinished = home / f".{name}.unfinished"
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=2)
        file.write("\n")
    unfinished.replace(home / name)


def _remove_ready(home: Path) -> None:
    (home / READY_FILE).unlink(missing_ok=True)
    (home / TARGETS_FILE).unlink(missing_ok=True)


def _busy(home: Path, handle: int) -> str:
    process = os.read(handle, 32).decode(errors="replace").strip()
    by = f" by process {process}" if process.isdigit() else ""
    where = ""
    with suppress(OSError, ValueError, KeyError):
        where = f" at {json.loads((home / READY_FILE).read_text(encoding='utf-8'))['url']}"
    return f"Parley runs already{by}{where}, with its data in {home}. Set PARLEY_HOME to another folder to run a second one."
