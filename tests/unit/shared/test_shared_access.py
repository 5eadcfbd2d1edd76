"""The rules of access are those of the contract."""

from __future__ import annotations

from parley_shared.access import Rule, access_rules


def test_the_rules_are_read_from_the_contract() -> None:
    rules = access_rules()
    assert rules["/parley.inference.v1.InferenceService/Generate"] == Rule(anonymous=False, scope="inference:invoke")
    assert rules["/parley.system.v1.SystemService/GetHealth"] == Rule(anonymous=True, scope="", reads=True)


def test_every_rpc_of_the_contract_says_who_may_call_it() -> None:
    undecided = [path for path, rule in access_rules().items() if not (rule.anonymous or rule.scope or rule.any_token)]
    assert undecided == []
