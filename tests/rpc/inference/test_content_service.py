"""ContentService: templates, and the prompts that they become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.inference.v1 import (
    content_service_pb2,
    content_service_pb2_grpc,
    generation_pb2,
    inference_service_pb2,
)
from parley_shared.channels import open_channel
from parley_shared.settings import SettingsError

Request = content_service_pb2.RenderContentPromptRequest
OWN = """title = "Haiku"
description = "Three lines."
usual_words = 17
model = "fast"
temperature = 0.5
instructions = "A haiku about {thing}."

[[fields]]
name = "thing"
description = "What about."
required = true
"""


async def call(service: Any, method: str, request: Any, *scopes: str) -> Any:
    """Calls ContentService."""
    async with open_channel(service.address) as channel:
        stub = content_service_pb2_grpc.ContentServiceStub(channel)
        return await getattr(stub, method)(request, metadata=service.metadata(*scopes))


async def failure_of_render(service: Any, **fields: Any) -> Any:
    async with open_channel(service.address) as channel:
        stub = content_service_pb2_grpc.ContentServiceStub(channel)
        return await service.failure(stub.RenderContentPrompt, Request(**fields))


async def templates_of(service: Any) -> dict[str, Any]:
    request = content_service_pb2.ListContentTemplatesRequest()
    response = await call(service, "ListContentTemplates", request)
    return {template.template_id: template for template in response.templates}


async def test_the_templates_that_ship_are_listed_with_their_fields(offline: Any) -> None:
    templates = await templates_of(offline)
    assert list(templates) == ["ad_copy", "blog_post", "email", "product_description", "social_post", "summary"]
    post = templates["social_post"]
    assert (post.title, post.usual_words) == ("Social post", 60)
    message, platform, link, hashtags = post.fields
    assert (message.kind, message.required, message.max_length) == (
        content_service_pb2.CONTENT_FIELD_KIND_TEXT,
        True,
        2000,
    )
    assert (platform.kind, platform.default_value, platform.choices[0]) == (
        content_service_pb2.CONTENT_FIELD_KIND_CHOICE,
        "LinkedIn",
        "LinkedIn",
    )
    assert not link.required
    assert (hashtags.kind, hashtags.minimum, hashtags.maximum, hashtags.max_length) == (
        content_service_pb2.CONTENT_FIELD_KIND_INTEGER,
        0,
        10,
        0,
    )
    assert hashtags.HasField("minimum")
    assert not link.HasField("maximum")


async def test_a_rendered_prompt_can_be_generated_as_it_is(offline: Any) -> None:
    prompt = await call(
        offline,
        "RenderContentPrompt",
        Request(
            template_id="email",
            fields={"purpose": "the launch", "recipient": "Maria"},
            tone=" friendly ",
            length=content_service_pb2.CONTENT_LENGTH_LONG,
            language="English",
        ),
    )
    system, user = prompt.messages
    assert (system.role, user.role) == (generation_pb2.PROMPT_ROLE_SYSTEM, generation_pb2.PROMPT_ROLE_USER)
    for words in ("<purpose>the launch</purpose>", "about 300 words", "<tone>friendly</tone>", "English"):
        assert words in user.text
    assert prompt.sampling.max_output_tokens == 5200
    assert not prompt.sampling.HasField("temperature")
    request = inference_service_pb2.GenerateRequest(
        messages=prompt.messages, model=prompt.model, sampling=prompt.sampling
    )
    response = await offline.generations.Generate(request, metadata=offline.metadata())
    assert response.text.startswith("Subject: The launch\n\nHi Maria,\n\nThis is about: the launch.")
    assert "No model is configured" in response.text


async def test_values_that_do_not_fit_are_all_named(offline: Any) -> None:
    failure = await failure_of_render(
        offline, template_id="social_post", fields={"platform": "TV", "hashtags": "11", "sound": "loud"}
    )
    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert failure.fields == ("fields.message", "fields.platform", "fields.hashtags", "fields.sound")
    assert failure.metadata["field"] == "fields.message"
    assert failure.message == "fields.message must be given (3 more)."


async def test_an_unknown_template_is_not_found_and_the_nearest_are_named(offline: Any) -> None:
    failure = await failure_of_render(offline, template_id="blogpost")
    assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    assert failure.metadata["resource"] == "template"
    assert "Is one of these meant: blog_post" in failure.message


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("template_id", Request()),
        ("template_id", Request(template_id="a" * 65)),
        ("custom_template", Request(custom_template="a" * 10_001)),
        ("custom_template", Request(custom_template="  ")),
        ("custom_template", Request(custom_template="a {")),
        ("fields", Request(template_id="email", fields={f"f{number}": "" for number in range(51)})),
        ("tone", Request(template_id="email", tone="a" * 101)),
        ("tone", Request(template_id="email", tone="a\nb")),
        ("audience", Request(template_id="email", audience="a" * 201)),
        ("language", Request(template_id="email", language="a" * 51)),
        ("length", Request(template_id="email", length=9)),  # type: ignore[arg-type]  # no such length
        ("fields.x", Request(custom_template="a {x}")),
        ("fields.x", Request(custom_template="a {x}", fields={"x": "a" * 20_001})),
        ("fields.y", Request(custom_template="a", fields={"y": ""})),
    ],
)
async def test_every_bound_is_named_by_its_field(offline: Any, field: str, request_: Any) -> None:
    async with open_channel(offline.address) as channel:
        stub = content_service_pb2_grpc.ContentServiceStub(channel)
        failure = await offline.failure(stub.RenderContentPrompt, request_)
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields[0] == field


async def test_a_template_of_the_callers_own_needs_no_stored_one(offline: Any) -> None:
    prompt = await call(offline, "RenderContentPrompt", Request(custom_template="On {x}, {{y}}", fields={"x": "{z}"}))
    assert prompt.messages[-1].text.startswith("On <x>{z}</x>, {y}\n\n")
    assert prompt.sampling == generation_pb2.Sampling()


async def test_content_needs_the_scope(offline: Any) -> None:
    for method, request in (
        ("ListContentTemplates", content_service_pb2.ListContentTemplatesRequest()),
        ("RenderContentPrompt", Request(template_id="email")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(offline, method, request, "chat:read")
        assert raised.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_templates_of_the_operator_join_and_replace_those_that_ship(serve: Any, tmp_path: Path) -> None:
    for name in ("haiku", "email"):
        (tmp_path / f"{name}.toml").write_text(OWN)
    async with serve(PARLEY_INFERENCE_CONTENT_TEMPLATES_FOLDER=str(tmp_path)) as service:
        templates = await templates_of(service)
        assert len(templates) == 7
        assert templates["email"].title == "Haiku"
        prompt = await call(service, "RenderContentPrompt", Request(template_id="haiku", fields={"thing": "rain"}))
        assert prompt.messages[-1].text.startswith("A haiku about <thing>rain</thing>.")
        assert (prompt.model, prompt.sampling.temperature) == ("fast", 0.5)


async def test_a_wrong_template_stops_the_start_with_file_and_key(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "haiku.toml").write_text(OWN.replace("{thing}", "{think}"))
    with pytest.raises(SettingsError) as raised:
        async with serve(PARLEY_INFERENCE_CONTENT_TEMPLATES_FOLDER=str(tmp_path)):
            pass
    assert str(raised.value) == (
        "PARLEY_INFERENCE_CONTENT_TEMPLATES_FOLDER: haiku.toml: instructions hold {think}, and there is no field think."
    )
