"""Output that cannot be written: a full disk, a quota, a reader that has gone."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OF_OUTPUT = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE}


@contextmanager
def output_errors_in_words() -> Iterator[None]:
    """Ends the process with 1 and a line on standard error when standard output takes nothing more; quietly when its reader has gone."""
    try:
        try:
            yield
        finally:
            # What is buffered would otherwise fail when nobody can catch it any more.
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        if error.errno not in _OF_OUTPUT:
            raise
        sys.stdout = None  # nothing flushes it any more
        if error.errno != errno.EPIPE:
            print(f"The output could not be written: {error.strerror}.", file=sys.stderr)
        raise SystemExit(1) from None
