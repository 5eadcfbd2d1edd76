"""What the runs with replicas stand on. See parley_testing.fault_run for what a run is."""

from __future__ import annotations

from parley_testing.postgres import postgres

__all__ = ["postgres"]
