"""Pictures in a prompt: what is taken, how each provider is shown them, and who cannot see."""

from __future__ import annotations

import base64
from typing import Any

import grpc
import pytest
from parley.inference.v1 import generation_pb2
from parley_testing.fake_openai import FakeOpenAI

FILES = {
    "image/png": b"\x89PNG\r\n\x1a\n" + bytes(range(64)),
    "image/jpeg": b"\xff\xd8\xff\xe0" + bytes(range(64)),
    "image/gif": b"GIF89a" + bytes(range(64)),
    "image/webp": b"RIFF\x40\x00\x00\x00WEBP" + bytes(range(64)),
}


def picture(media_type: str, data: bytes | None = None) -> generation_pb2.PromptImage:
    return generation_pb2.PromptImage(media_type=media_type, data=FILES[media_type] if data is None else data)


def saying(text: str, *images: generation_pb2.PromptImage) -> list[generation_pb2.PromptMessage]:
    return [generation_pb2.PromptMessage(role=generation_pb2.PROMPT_ROLE_USER, text=text, images=images)]


def shown(name: str, content: list[dict[str, Any]]) -> tuple[list[tuple[str, bytes]], str]:
    """The pictures that a provider was shown, and the text beside them."""
    found: list[tuple[str, bytes]] = []
    for part in content:
        if name == "anthropic" and part["type"] == "image":
            found.append((part["source"]["media_type"], base64.b64decode(part["source"]["data"])))
        elif part["type"] == "image_url":
            head, _, data = part["image_url"]["url"].partition(";base64,")
            found.append((head.removeprefix("data:"), base64.b64decode(data)))
    return found, "".join(part["text"] for part in content if part["type"] == "text")


async def test_each_provider_is_shown_every_picture_as_it_is_beside_its_text(either: Any, ask: Any) -> None:
    messages = saying("What are these?", *(picture(media_type) for media_type in FILES))
    responses, failure = await either.service.stream(ask(messages=messages))
    assert failure is None
    assert responses[-1].WhichOneof("event") == "finished"
    (body,) = either.asked
    assert shown(either.name, body["messages"][0]["content"]) == (list(FILES.items()), "What are these?")


async def test_three_megabytes_of_pictures_arrive_whole(either: Any, ask: Any) -> None:
    data = FILES["image/png"] + bytes(3_000_000 - len(FILES["image/png"]))
    _, failure = await either.service.stream(ask(messages=saying("What is this?", picture("image/png", data))))
    assert failure is None
    (body,) = either.asked
    assert shown(either.name, body["messages"][0]["content"])[0] == [("image/png", data)]


@pytest.mark.parametrize(
    ("images", "field"),
    [
        ([picture("image/png", FILES["image/jpeg"])], "messages[0].images[0].data"),
        ([picture("image/png"), picture("image/webp", b"RIFF....WAVE" + bytes(9))], "messages[0].images[1].data"),
        ([picture("image/png", b"")], "messages[0].images[0].data"),
        ([generation_pb2.PromptImage(media_type="image/svg+xml", data=b"<svg/>")], "messages[0].images[0].media_type"),
        ([generation_pb2.PromptImage(data=FILES["image/png"])], "messages[0].images[0].media_type"),
        ([picture("image/png")] * 9, "messages[0].images"),
        ([picture("image/png", FILES["image/png"] + bytes(1_500_000))] * 2, "messages[0].images"),
    ],
)
async def test_what_is_no_such_picture_or_too_much_is_refused_by_its_place(
    online: Any, upstream: FakeOpenAI, ask: Any, images: list[generation_pb2.PromptImage], field: str
) -> None:
    _, failure = await online.stream(ask(messages=saying("What is this?", *images)))
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields == (field,)
    assert upstream.requests == []


async def test_only_a_user_shows_pictures(online: Any, ask: Any) -> None:
    said = generation_pb2.PromptMessage(
        role=generation_pb2.PROMPT_ROLE_ASSISTANT, text="Look.", images=[picture("image/png")]
    )
    _, failure = await online.stream(ask(messages=[*saying("Hm?"), said, *saying("What is this?")]))
    assert failure.fields == ("messages[1].images",)


async def test_a_model_that_is_known_to_see_nothing_is_not_asked(serve: Any, upstream: FakeOpenAI, ask: Any) -> None:
    async with serve(OPENAI_BASE_URL=upstream.base_url, PARLEY_INFERENCE_MODEL="gpt-3.5-turbo") as service:
        _, failure = await service.stream(ask(messages=saying("What is this?", picture("image/png"))))
        assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
        assert failure.reason == "MODEL_NOT_CAPABLE"
        assert failure.metadata["model"] == "gpt-3.5-turbo"
        assert upstream.requests == []
        # Without a picture it answers.
        _, failure = await service.stream(ask())
        assert failure is None


async def test_the_built_in_model_sees_nothing_and_says_so(offline: Any, ask: Any) -> None:
    _, failure = await offline.stream(ask(messages=saying("What is this?", picture("image/png"))))
    assert failure.reason == "MODEL_NOT_CAPABLE"
    assert "sees no pictures" in failure.message
