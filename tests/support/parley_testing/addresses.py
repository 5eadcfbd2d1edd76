"""Addresses for services that need one."""

from __future__ import annotations

NOBODY = "127.0.0.1:1"
"""Where nobody listens. The address that a service has by default may be that of a Parley that runs on this machine, and would judge the
tokens of tests.
"""
