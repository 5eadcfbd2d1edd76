"""Small files that only their owner may read: made whole or not at all, by one process of several that start at once.

Not encryption: whoever can read as this user can read them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644
_FOLDER = 0o700
_OTHERS = 0o077


class PrivateFileError(Exception):
    """A file is not as it must be. The message is one line for the operator and names the file, never its content."""


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Makes the folder when it is not there, and waits until no other process is within this block for the folder.

    The operating system lets go of the lock when its holder dies, so none is ever left behind.
    """
    folder.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Replaces the file in one step: a reader sees the old content or the new, and never the file with another mode."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)  # Whatever the umask is.
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_private(path: Path) -> bytes | None:
    """The content; None when there is no file. Raises PrivateFileError when others than its owner may read or write it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & _OTHERS:
                raise PrivateFileError(f"{path} can be read by others (mode {mode:04o}): chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PrivateFileError(f"{path} cannot be read: {error.strerror}") from error
