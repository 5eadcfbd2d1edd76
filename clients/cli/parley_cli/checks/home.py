"""The home folder: whether it can be used, who may read its keys, and the room on its disk."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from parley_cli.checks.finding import Finding
from parley_cli.place import CommandError, keys_folder, read_local_user

_PUBLIC = {"jwks.json"}
_LITTLE_BYTES = 1024**3
_TOO_LITTLE_BYTES = 200 * 1024**2


def check_home(home: Path) -> Iterator[Finding]:
    """The folder, its keys and its disk."""
    yield _folder(home)
    yield from _keys(home)
    yield _disk(home)


def _folder(home: Path) -> Finding:
    place = nearest_folder(home)
    if home.exists() and not home.is_dir():
        return Finding("home", "fail", f"{home} is no folder", "set PARLEY_HOME to another place")
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding(
            "home", "fail", f"{place} cannot be written to", "set PARLEY_HOME to another place, or change its owner"
        )
    if not home.is_dir():
        return Finding("home", "ok", f"{home.absolute()} will be made at the first start")
    if home.stat().st_mode & stat.S_IWOTH:
        return Finding("home", "fail", f"{home} can be changed by everybody", f"chmod go-w {home}")
    return Finding("home", "ok", str(home.absolute()))


def _keys(home: Path) -> Iterator[Finding]:
    folder = keys_folder(home)
    if not folder.is_dir():
        yield Finding("keys", "ok", "will be made at the first start")
        return
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file() and file.name not in _PUBLIC)
    except OSError as error:
        yield Finding(
            "keys", "fail", f"{folder} cannot be read: {error.strerror}", "run this as the user who runs Parley"
        )
        return
    open_files = [file for file in files if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    for file in open_files:
        mode = stat.S_IMODE(file.stat().st_mode)
        yield Finding("keys", "fail", f"{file} can be read by others (mode {mode:04o})", f"chmod 600 {file}")
    try:
        read_local_user(home)
    except CommandError as error:
        yield Finding("keys", "fail", str(error), "")
        return
    if not open_files:
        yield Finding(
            "keys",
            "ok",
            f"{len(files)} private {'file' if len(files) == 1 else 'files'} in {folder}, for this user only",
        )


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(nearest_folder(home)).free
    words = f"{free / 1024**3:.1f} GB free"
    if free < _TOO_LITTLE_BYTES:
        return Finding("disk", "fail", words, "make room, or set PARLEY_HOME to another disk")
    if free < _LITTLE_BYTES:
        return Finding("disk", "warn", words, "make room, or set PARLEY_HOME to another disk")
    return Finding("disk", "ok", words)


def nearest_folder(path: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
