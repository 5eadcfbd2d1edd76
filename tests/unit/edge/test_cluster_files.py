"""The files for several replicas of chat tell chat what it needs for that. Only read here: no cluster takes them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from parley_chat.settings import ChatSettings
from parley_shared.settings import Environment
from parley_shared.sql import Database

DEPLOY = Path(__file__).parents[3] / "deploy"


def read(*path: str) -> Any:
    return yaml.safe_load(DEPLOY.joinpath(*path).read_text(encoding="utf-8"))


async def test_the_replicas_of_compose_share_a_database_and_a_redis_that_are_there() -> None:
    base, replicas = read("compose", "compose.yaml"), read("compose", "replicas.yaml")
    chat = replicas["services"]["chat"]
    assert chat["deploy"]["replicas"] == 2
    told = {name: re.sub(r"\$\{[A-Z_]+:\?[^}]*\}", "hush", value) for name, value in chat["environment"].items()}
    settings = ChatSettings.read(Environment(told))
    database = Database.open(settings.database_url)
    assert database.dialect == "postgresql"
    await database.close()
    assert settings.redis_url.startswith("redis://redis:")
    assert set(chat["depends_on"]) == {"postgres", "redis"} <= set(replicas["services"])
    # One volume, and so one key that all replicas sign with.
    assert "chat:/var/lib/parley" in base["services"]["chat"]["volumes"]
    assert not [name for name in ("postgres", "redis") if "ports" in replicas["services"][name]]


def test_the_pods_of_kubernetes_share_stores_and_the_key_and_are_never_all_taken_away() -> None:
    chat, budget = read("kubernetes", "replicas", "chat.yaml"), read("kubernetes", "replicas", "disruption-budget.yaml")
    pod = chat["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {"secretRef": {"name": "parley-chat-stores"}} in container["envFrom"]
    assert {"configMapRef": {"name": "parley-settings"}} in container["envFrom"], "a patch replaces the whole list"
    assert chat["spec"]["replicas"] > budget["spec"]["minAvailable"]
    readme = (DEPLOY / "kubernetes" / "README.md").read_text(encoding="utf-8")
    for secret in ("parley-chat-stores", "parley-signing-key"):
        assert f"create secret generic {secret}" in readme
    names = [name for name in ("PARLEY_CHAT_DATABASE_URL", "PARLEY_CHAT_REDIS_URL") if f"{name}=" not in readme]
    assert not names
