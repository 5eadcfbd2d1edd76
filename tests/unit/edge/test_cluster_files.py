"""The files for containers: several replicas of chat have what they need, and inference knows the key of retrieval. Only read here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from parley_chat.settings import ChatSettings
from parley_inference.settings import InferenceSettings
from parley_retrieval.settings import RetrievalSettings
from parley_shared.service_keys import key_id_of, load_or_make_service_key
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


HOME = Path("/var/lib/parley")
"""`PARLEY_HOME` of the images."""


def told(environment: Any) -> Environment:
    """What a container's process reads, with nothing in the operator's shell."""
    given = {name: re.sub(r"\$\{[A-Z_]+:-\}", "", str(value)) for name, value in environment.items()}
    # It is in the image and not here.
    given.pop("PARLEY_RETRIEVAL_SAMPLE_CORPUS", None)
    return Environment({"PARLEY_HOME": str(HOME), **given})


def of_pod(name: str) -> tuple[Any, Any]:
    """The pod of a service in Kubernetes, and its one container that lasts."""
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes" / f"{name}.yaml").read_text(encoding="utf-8")))
    (pod,) = [
        each["spec"]["template"]["spec"] for each in documents if each and each["kind"] in {"Deployment", "StatefulSet"}
    ]
    (container,) = pod["containers"]
    return pod, container


def values_of(container: Any) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"]}


def test_in_compose_inference_reads_the_public_half_of_retrievals_key_and_nobody_sees_the_private_one() -> None:
    services = read("compose", "compose.yaml")["services"]
    retrieval = RetrievalSettings.read(told(services["retrieval"]["environment"]))
    inference = InferenceSettings.read(told(services["inference"]["environment"]))
    assert inference.retrieval_jwks_file == retrieval.service_jwks_file
    shared = str(retrieval.service_jwks_file.parent)
    mounts = {
        name: {
            path: (volume, mode) for volume, path, mode in (f"{one}:rw".split(":")[:3] for one in service["volumes"])
        }
        for name, service in services.items()
        if "volumes" in service
    }
    assert mounts["retrieval"][shared] == ("retrieval-key", "rw")
    assert mounts["inference"][shared] == ("retrieval-key", "ro")
    assert [name for name in mounts if shared in mounts[name]] == ["inference", "retrieval"]
    assert retrieval.service_key_file.is_relative_to(HOME)
    assert [name for name in mounts if mounts[name].get(str(HOME), ("",))[0] == "retrieval"] == ["retrieval"]
    assert "retrieval-key" in read("compose", "compose.yaml")["volumes"]
    # A new volume is its first container's folder: of root, unless the image has one of the user's.
    assert shared in (DEPLOY / "compose" / "service.Dockerfile").read_text(encoding="utf-8")
    assert "PARLEY_INFERENCE_EMBEDDING_MODEL" in services["inference"]["environment"]
    assert "PARLEY_RETRIEVAL_EMBEDDING_MODEL" in services["retrieval"]["environment"]


def test_in_kubernetes_each_gets_its_half_of_retrievals_key_and_starts_without_it() -> None:
    (retrieval_pod, retrieval), (inference_pod, inference) = of_pod("retrieval"), of_pod("inference")
    public = InferenceSettings.read(told(values_of(inference))).retrieval_jwks_file
    (mount,) = [one for one in inference["volumeMounts"] if one["mountPath"] == str(public.parent)]
    (volume,) = [one for one in inference_pod["volumes"] if one["name"] == mount["name"]]
    assert volume["configMap"] == {"name": "parley-retrieval-public-key", "optional": True}
    private = RetrievalSettings.read(told(values_of(retrieval))).service_key_file
    assert str(private.parent) in {one["mountPath"] for one in retrieval["volumeMounts"]}
    (secret,) = [one["secret"] for one in retrieval_pod["volumes"] if "secret" in one]
    assert secret == {"secretName": "parley-retrieval-key", "optional": True}
    assert "parley-retrieval-key" not in str(inference_pod)
    readme = (DEPLOY / "kubernetes" / "README.md").read_text(encoding="utf-8")
    assert f"create secret generic parley-retrieval-key --from-file={private.name}" in readme
    assert f"create configmap parley-retrieval-public-key --from-file={public.name}" in readme


def test_the_key_that_the_operator_makes_is_the_one_that_retrievals_pod_takes(tmp_path: Path) -> None:
    made = tmp_path / "made" / "retrieval.pem"
    command = [sys.executable, "-m", "parley_retrieval.make_service_key"]
    variables = {"PARLEY_RETRIEVAL_SERVICE_KEY_FILE": str(made), "PARLEY_HOME": str(tmp_path / "home")}
    subprocess.run(command, env=variables, check=True, timeout=120)
    # As a secret is mounted: for the group, too.
    made.chmod(0o640)
    pod, _ = of_pod("retrieval")
    (copying,) = [one for one in pod["initContainers"] if one["name"] == "service-key"]
    taken = tmp_path / "taken"
    taken.mkdir()
    script = copying["command"][-1].replace('"/secret/', f'"{made.parent}/').replace('"/service-key/', f'"{taken}/')
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    key = load_or_make_service_key(taken / "retrieval.pem", taken / "retrieval.jwks.json")
    assert f'"{key_id_of(key)}"' in (made.parent / "retrieval.jwks.json").read_text()
    # Without a secret there is nothing to copy, and nothing fails.
    made.unlink()
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
