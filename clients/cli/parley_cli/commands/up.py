"""`parley up`: runs Parley on this machine. The work is parley-local's."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import NoReturn

from parley_cli.place import CommandError


def up() -> NoReturn:
    """Becomes the process that runs until Ctrl-C: what the command itself took of memory is given back.

    CommandError when the package that does it is not installed.
    """
    if find_spec("parley_local") is None:
        raise CommandError("This command alone cannot run Parley: pip install 'parley-cli[local]'")
    os.execv(sys.executable, [sys.executable, "-m", "parley_local"])  # noqa: S606 - no shell: the arguments are ours
