"""Fills a YAML template: `${name}` becomes the value of that name.

Placeholders are filled in the parsed tree, not in the text, so a value can be a list or a mapping and can never break the
document. It knows nothing of Envoy.

- A text that is nothing but `${name}` becomes the value itself, whatever its type.
- Inside a longer text the value is written out.
- An item of a list that becomes a list is spliced into the list around it.
- What becomes None is left out, with its key.
- A mapping with the key `x-also` has what the mapping under that key has, too.
- A mapping with the key `x-when` is left out unless the value of that is true.
- An item of a list that is a mapping with the key `x-each` stands once for each value of that, which it has as `${each}`.
- Keys that begin with `x-` are never written: they are for shared parts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

_PLACEHOLDER = re.compile(r"\$\{([a-z_]+)\}")


class TemplateError(Exception):
    """The template and the values do not fit each other."""


class _PlainDumper(yaml.SafeDumper):
    """Writes shared parts out in full: a rendered file is read from top to bottom."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def fill(template: str, values: Mapping[str, Any]) -> Any:
    """The tree of the template with every placeholder filled. TemplateError when a name has no value or a value no place."""
    asked = set(_PLACEHOLDER.findall(template))
    different = (asked - {"each"}) ^ set(values)
    if different:
        message = f"the template and its values differ in {', '.join(sorted(different))}"
        raise TemplateError(message)
    return _fill(yaml.safe_load(template), values)


def write(tree: Any) -> str:
    """The tree as YAML."""
    return yaml.dump(tree, Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True)


def _fill(node: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        if "x-when" in node and not _fill(node["x-when"], values):
            return None
        filled = {key: _fill(value, values) for key, value in node.items() if not str(key).startswith("x-")}
        if "x-also" in node:
            filled |= _fill(node["x-also"], values)
        return {key: value for key, value in filled.items() if value is not None}
    if isinstance(node, list):
        items: list[Any] = []
        for item in node:
            if isinstance(item, dict) and "x-each" in item:
                items.extend(_fill(item, {**values, "each": each}) for each in _fill(item["x-each"], values))
                continue
            value = _fill(item, values)
            if isinstance(value, list) and isinstance(item, str):
                items.extend(value)
            elif value is not None:
                items.append(value)
        return items
    if isinstance(node, str):
        return _fill_text(node, values)
    return node


def _fill_text(text: str, values: Mapping[str, Any]) -> Any:
    whole = _PLACEHOLDER.fullmatch(text)
    return values[whole.group(1)] if whole else _PLACEHOLDER.sub(lambda match: str(values[match.group(1)]), text)
