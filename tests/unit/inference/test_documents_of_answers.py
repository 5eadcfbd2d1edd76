"""Where in an answer its JSON document is."""

from __future__ import annotations

import pytest
from parley_inference.operations.structured_answers import document_of


@pytest.mark.parametrize(
    ("answer", "document"),
    [
        ('{"a": 1}', '{"a": 1}'),
        (' \n{"a": 1}\n', '{"a": 1}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('```\n{"a": 1}\n```', '{"a": 1}'),
        ('```JSON\r\n{"a": 1}\r\n```', '{"a": 1}'),
        ("Here it is:\n```json\n[1,\n2]\n```\nAnything else?", "[1,\n2]"),
        # A fence within a document is the document's.
        ('{"code": "```json\\n1\\n```"}', '{"code": "```json\\n1\\n```"}'),
        ('"```json\\n1\\n```"', '"```json\\n1\\n```"'),
        ("42", "42"),
        ("```json\n{", "```json\n{"),
        ("No.", "No."),
        ("", ""),
    ],
)
def test_a_fence_is_taken_off_and_nothing_else(answer: str, document: str) -> None:
    assert document_of(answer) == document
