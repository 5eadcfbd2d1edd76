"""What holds for every ring: where everything is required, a skipped test is a failed one."""

from __future__ import annotations

# Before anybody makes a tracer provider: what is registered to run in a forked child runs in the order of registration, and that of the
# provider waits for a lock that this module's gives free.
import concurrent.futures.thread  # noqa: F401 - see above
import signal
from collections.abc import Generator

import parley_shared  # noqa: F401 - sets what gRPC reads when it is imported: before any test imports gRPC
import pytest
from parley_testing.tools import REQUIRE_VARIABLE, everything_is_required

# A shell starts what runs in its background with Ctrl-C ignored, and every process that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _reason(skip: object) -> str:
    """The words of a skip: pytest reports (path, line, reason)."""
    return str(skip[2]) if isinstance(skip, tuple) and len(skip) == 3 else str(skip)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns the report of a skipped test, an expected failure included, into a failure."""
    report = yield
    if report.skipped and everything_is_required():
        reason = getattr(report, "wasxfail", None) or _reason(report.longrepr)
        if hasattr(report, "wasxfail"):
            del report.wasxfail
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and {REQUIRE_VARIABLE}=all allows no skip: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a file that skips itself while it is collected."""
    report = yield
    if report.skipped and everything_is_required():
        reason = _reason(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped, and {REQUIRE_VARIABLE}=all allows no skip: {reason}"
    return report
