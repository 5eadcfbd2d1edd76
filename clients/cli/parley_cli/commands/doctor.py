"""`parley doctor`: looks for what keeps Parley from running here, and says how to mend it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict

from rich.text import Text

from parley_cli.checks.configuration import check_configuration, page_folder
from parley_cli.checks.finding import Finding
from parley_cli.checks.home import check_home
from parley_cli.checks.installation import check_installation, check_page
from parley_cli.checks.network import check_ports, check_providers, check_running
from parley_cli.place import home_folder
from parley_cli.terminal import new_console, printable

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(*, as_json: bool) -> int:
    """Makes every check and prints a line for each finding. Returns 1 when one of them is a failure."""
    findings: list[Finding] = []
    console = new_console()
    for finding in _findings():
        findings.append(finding)
        if not as_json:
            console.print(_line(finding), soft_wrap=True)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    return 1 if any(finding.state == "fail" for finding in findings) else 0


def _findings() -> Iterator[Finding]:
    home = home_folder()
    configuration = check_configuration(os.environ)
    yield from check_installation()
    yield from configuration.findings
    if "up" in configuration.settings:
        yield check_page(page_folder(configuration))
    yield from check_home(home)
    running, finding = check_running(home)
    yield finding
    yield from check_ports(configuration.settings.get("up"), running=running)
    yield from check_providers(configuration.settings.get("inference"))


def _line(finding: Finding) -> Text:
    line = Text.assemble(
        (f"{finding.state:<5}", _STYLES[finding.state]), f"{finding.check:<11}", printable(finding.words)
    )
    if finding.mending:
        line.append(f" → {printable(finding.mending)}", style="bold")
    return line
