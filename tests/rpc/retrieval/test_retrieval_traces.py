"""The stages of a call are spans of its caller's trace, and tell nothing of what was written or asked."""

from __future__ import annotations

import uuid
from typing import Any

from parley_shared.telemetry import spans_of


async def test_the_stages_of_a_search_and_of_a_create_are_in_the_callers_trace(retrieval: Any) -> None:
    trace_id = uuid.uuid4().hex
    caller = retrieval.caller()
    parent = ("traceparent", f"00-{trace_id}-{'1' * 16}-01")
    traced = type(caller)(retrieval, caller.user_id, (*caller.metadata, parent))
    await traced.create("a secret manatee")
    await traced.search("secret manatee")
    spans = spans_of(trace_id)
    names = {span.name for span in spans}
    assert {
        "retrieval.cut",
        "retrieval.index.write",
        "retrieval.store.write",
        "retrieval.index.search",
        "retrieval.store.passages",
    } <= names
    calls = {span.context.span_id for span in spans if span.name.startswith("parley.retrieval.v1.")}
    stages = [span for span in spans if span.name.startswith("retrieval.")]
    assert {span.parent.span_id for span in stages if span.parent} <= calls
    assert "manatee" not in " ".join(str(dict(span.attributes or {})) for span in spans)
