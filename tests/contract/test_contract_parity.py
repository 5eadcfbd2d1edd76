"""Every rpc of the contract is answered by the service that owns it, and by hand-written code."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest
from parley_testing.contract import Rpc, rpcs

OWNERS = {
    "parley.ai.v1": "parley_chat",
    "parley.chat.v1": "parley_chat",
    "parley.events.v1": "parley_chat",
    "parley.flags.v1": "parley_chat",
    "parley.usage.v1": "parley_chat",
    "parley.identity.v1": "parley_chat",
    "parley.openai.v1": "parley_chat",
    "parley.system.v1": "parley_chat",
    "parley.telemetry.v1": "parley_chat",
    "parley.mcp.v1": "parley_chat",
    "parley.inference.v1": "parley_inference",
    "parley.retrieval.v1": "parley_retrieval",
    "parley.workspace.v1": "parley_chat",
}
"""Which service serves which package of the contract."""


def _servicers(package: str, service: str) -> list[type]:
    """The hand-written classes that stand on the generated base of a service."""
    rooms = importlib.import_module(f"{package}.servicers")
    found: list[type] = []
    for module in pkgutil.walk_packages(rooms.__path__, f"{rooms.__name__}."):
        for _, one in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            bases = {base.__name__ for base in one.__mro__[1:]}
            if f"{service}Servicer" in bases and one not in found:
                found.append(one)
    return found


@pytest.mark.parametrize("rpc", [pytest.param(rpc, id=rpc.full_name) for rpc in rpcs()])
def test_an_rpc_is_implemented_once_by_its_service(rpc: Rpc) -> None:
    servicers = _servicers(OWNERS[rpc.package], rpc.service)
    assert len(servicers) == 1, servicers
    method = inspect.getattr_static(servicers[0], rpc.method.name)
    assert method.__module__.startswith(OWNERS[rpc.package]), "it is the generated one, which answers UNIMPLEMENTED"
    if rpc.method.server_streaming:
        assert inspect.isasyncgenfunction(method), "a stream is an async generator"
    else:
        assert inspect.iscoroutinefunction(method)


@pytest.mark.parametrize("package", sorted(set(OWNERS)))
def test_a_servicer_has_no_public_method_that_the_contract_does_not_know(package: str) -> None:
    known: dict[str, set[str]] = {}
    for rpc in rpcs():
        if rpc.package == package:
            known.setdefault(rpc.service, set()).add(rpc.method.name)
    for service, names in known.items():
        for servicer in _servicers(OWNERS[package], service):
            own = {
                name for name, value in vars(servicer).items() if inspect.isfunction(value) and not name.startswith("_")
            }
            assert own <= names
