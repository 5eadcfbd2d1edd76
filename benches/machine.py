"""Says on what machine something was measured."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def described() -> dict[str, str | int | float]:
    """Processor, cores, memory, system, Python, and how busy it was just now."""
    model = platform.processor() or platform.machine()
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
        model = next(
            (line.split(":", 1)[1].strip() for line in facts.splitlines() if line.startswith("model name")), model
        )
    except OSError:
        pass
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }
