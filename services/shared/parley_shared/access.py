"""Who may call what: the rule of each rpc, read from the contract.

It tells the rules; `interceptors/authentication.py` enforces them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

from google.protobuf import descriptor_pb2
from parley.access.v1 import access_pb2


@dataclass(frozen=True)
class Rule:
    """Who may call an rpc. With none of the first three set: nobody."""

    anonymous: bool
    """Callers without a token are admitted."""
    scope: str
    """The scope that the caller's token must carry; "" when none is named."""
    reads: bool = False
    """Whether the contract says that it changes nothing."""
    any_token: bool = False
    """Callers with any good token are admitted."""


@cache
def access_rules() -> Mapping[str, Rule]:
    """The rule of every rpc of the contract, by its path: "/parley.chat.v1.ChatService/SendMessage"."""
    contract = (resources.files("parley") / "contract.binpb").read_bytes()
    files = descriptor_pb2.FileDescriptorSet.FromString(contract)
    rules = {}
    for file in files.file:
        for service in file.service:
            for method in service.method:
                rule = method.options.Extensions[access_pb2.rule]
                rules[f"/{file.package}.{service.name}/{method.name}"] = Rule(
                    rule.anonymous,
                    rule.scope,
                    reads=method.options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS,
                    any_token=rule.any_token,
                )
    return MappingProxyType(rules)
