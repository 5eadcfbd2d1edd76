"""What a tool of an MCP server returned, as a model is given it: one JSON object, no longer than it may be."""

from __future__ import annotations

import json
from typing import Any

import mcp_types

from parley_chat.ports.toolbox import ToolOutcome

_MOST_ERROR = 2_000
"""Characters of why a tool failed."""
_MOST_OTHERS = 50


def outcome_of(result: mcp_types.CallToolResult, most_bytes: int) -> ToolOutcome:
    """The outcome. Structured content stands for itself; of text, all pieces are one; of images, sounds and files, only what they are."""
    texts, others = _contents(result)
    text = "\n\n".join(texts)
    if result.is_error:
        return failed(text or "The tool failed and did not say why.")
    whole: dict[str, Any]
    if isinstance(result.structured_content, dict) and not others:
        whole = result.structured_content
    elif result.structured_content is not None:
        whole = {"result": result.structured_content}
    else:
        whole = {"text": text}
    if others:
        whole = {**whole, "other_content": others}
    try:
        return ToolOutcome(_bounded(whole, text, most_bytes))
    except (ValueError, RecursionError):
        return failed("The tool returned what is no JSON.")


def failed(words: str) -> ToolOutcome:
    """An outcome that failed."""
    cut = words if len(words) <= _MOST_ERROR else words[: _MOST_ERROR - 1] + "…"
    return ToolOutcome(_written({"error": {"message": cut}}), failed=True)


def _contents(result: mcp_types.CallToolResult) -> tuple[list[str], list[dict[str, Any]]]:
    texts: list[str] = []
    others: list[dict[str, Any]] = []
    for block in result.content:
        match block:
            case mcp_types.TextContent():
                texts.append(block.text)
            case mcp_types.EmbeddedResource(resource=mcp_types.TextResourceContents() as resource):
                texts.append(resource.text)
            case mcp_types.ImageContent() | mcp_types.AudioContent():
                others.append(
                    {"type": block.type, "mime_type": block.mime_type[:100], "bytes": len(block.data) * 3 // 4}
                )
            case mcp_types.EmbeddedResource(resource=mcp_types.BlobResourceContents() as blob):
                others.append({"type": "file", "uri": str(blob.uri)[:500], "bytes": len(blob.blob) * 3 // 4})
            case mcp_types.ResourceLink():
                others.append({"type": "link", "uri": str(block.uri)[:500], "name": block.name[:200]})
    return texts, others[:_MOST_OTHERS]


def _bounded(whole: dict[str, Any], text: str, most_bytes: int) -> str:
    """What fits. Of what does not, the beginning, as text, and a mark that tells so."""
    written = _written(whole)
    size = len(written.encode())
    if size <= most_bytes:
        return written
    beginning = text or written
    room = most_bytes
    while True:
        room = room * 9 // 10
        cut = {"text": beginning.encode()[:room].decode(errors="ignore"), "truncated": True, "bytes_of_the_whole": size}
        if len((written := _written(cut)).encode()) <= most_bytes:
            return written


def _written(value: dict[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # Half a character, as JSON can hold it, is nothing that can be stored.
    return text.encode(errors="replace").decode()
