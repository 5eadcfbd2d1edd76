"""The address of the operator's trace backend: what is taken, and what ends the start."""

from __future__ import annotations

import pytest
from parley_chat.settings import ChatSettings
from parley_shared.settings import Environment, SettingsError

NAME = "PARLEY_CHAT_TRACE_URL"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "https://traces.example.org/trace/{trace_id}",
        "http://127.0.0.1:16686/trace/{trace_id}?uiEmbed=v0",
        "https://grafana.example.org/explore?query={trace_id}&orgId=1",
        "https://[2001:db8::1]:8443/t/{trace_id}",
    ],
)
def test_an_address_with_one_placeholder_is_taken_as_it_stands(written: str) -> None:
    assert ChatSettings.read(Environment({NAME: written})).trace_url == written


@pytest.mark.parametrize(
    "written",
    [
        "https://traces.example.org/trace/",
        "https://traces.example.org/{trace_id}/{trace_id}",
        "https://traces.example.org/{trace_id}/{span_id}",
        "https://{trace_id}.example.org/",
        "https://traces.example.org:{trace_id}/",
        "https://user:password@traces.example.org/{trace_id}",
        "https:///{trace_id}",
        "https://traces.example.org:99999/{trace_id}",
        "javascript:alert('{trace_id}')",
        "file:///{trace_id}",
        "//traces.example.org/{trace_id}",
        "{trace_id}",
        "https://traces.example.org/ {trace_id}",
        'https://traces.example.org/"{trace_id}',
        "https://traces.example.org/{trace_id}/" + "x" * 500,
    ],
)
def test_what_is_no_such_address_ends_the_start_with_one_line(written: str) -> None:
    with pytest.raises(SettingsError) as raised:
        ChatSettings.read(Environment({NAME: written}))
    assert raised.value.variable == NAME
    assert "\n" not in str(raised.value)
