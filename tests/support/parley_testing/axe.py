"""axe-core in the page that a reader looks at."""

from __future__ import annotations

from typing import Any

from parley_testing.page import Reader
from parley_testing.tools import ROOT

_AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


async def axe(reader: Reader) -> list[dict[str, Any]]:
    """What axe-core finds against WCAG 2.2 A and AA: the rule, the elements, and why."""
    await reader.page.evaluate(_AXE.read_text(encoding="utf-8"))
    # A colour in the middle of a transition is nobody's choice.
    await reader.page.evaluate("Promise.all(document.getAnimations().map((motion) => motion.finished.catch(() => 0)))")
    result = await reader.page.evaluate(
        """axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] })"""
    )
    return [
        {
            "rule": found["id"],
            "at": [node["html"][:200] for node in found["nodes"]],
            "why": found["nodes"][0]["failureSummary"],
        }
        for found in result["violations"]
    ]
