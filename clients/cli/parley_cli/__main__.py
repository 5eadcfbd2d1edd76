"""Starts the `parley` command. What it can do is in `app.py`; this is only the door."""

from __future__ import annotations

from parley_cli.app import app
from parley_cli.output_errors import output_errors_in_words


def main() -> None:
    """Runs the command of `sys.argv` and exits: 0 when it did what was asked, 1 when it could not, 2 when it was asked wrongly."""
    with output_errors_in_words():
        app(prog_name="parley")


if __name__ == "__main__":
    main()
