"""`parley up`: runs Parley on this machine. The work is parley-local's."""

from __future__ import annotations

from parley_cli.place import CommandError


def up() -> int:
    """Runs until Ctrl-C. Returns the exit code. CommandError when the package that does it is not installed."""
    try:
        from parley_local.up import run  # noqa: PLC0415 - an optional part of the command
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "parley_local":
            raise
        raise CommandError("This command alone cannot run Parley: pip install 'parley-cli[local]'") from error
    return run()
