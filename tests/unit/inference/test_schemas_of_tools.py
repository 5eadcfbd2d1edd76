"""Schemas of tools as requests bring them, again and again."""

from __future__ import annotations

import math
from typing import Any

import pytest
from parley.inference.v1 import generation_pb2, inference_service_pb2
from parley_inference.servicers.messages import REMEMBERED_BYTES_MOST, unpack_request
from parley_inference.servicers.validation import check_generate
from parley_shared.status import StatusError


def asked(schema: dict[str, Any]) -> inference_service_pb2.GenerateRequest:
    request = inference_service_pb2.GenerateRequest(
        messages=[generation_pb2.PromptMessage(role=generation_pb2.PROMPT_ROLE_USER, text="hello")]
    )
    request.tools.add(name="look_up").parameters_schema.update(schema)
    return request


@pytest.mark.parametrize("length", [10, REMEMBERED_BYTES_MOST + 1])
def test_a_schema_is_read_alike_each_time_whatever_was_read_before_it(length: int) -> None:
    schemas = [
        {"type": "object", "properties": {name: {"type": "string", "maxLength": most, "description": "x" * length}}}
        for name in ("place", "time")
        for most in (1, 2)
    ]
    for schema in [*schemas, *schemas]:
        request = asked(schema)
        check_generate(request)
        assert unpack_request(request).tools[0].parameters_schema == schema


def test_a_schema_that_is_refused_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(StatusError) as refused:
            check_generate(asked({"type": "object", "default": math.inf}))
        assert [name for name, _ in refused.value.violations] == ["tools[0].parameters_schema"]
