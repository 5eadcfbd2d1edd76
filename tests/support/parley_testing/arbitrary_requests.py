"""Requests as nobody would send them: Hypothesis strategies made from the descriptors of messages.

A request is mostly plausible, so that it gets past the door: it names what exists, its numbers are small, its texts short. Then some of
it is not: one field, or every other one. What is sent is bytes, because some of what arrives no library would write: text that is not
UTF-8.

It knows names of fields, as every reader of the contract does, and no rpc.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

_NOT_UTF8: Final = ("n0t-utf8!!", b"\xed\xa0\x80ab\xed\xbf\xbfc\xff")
"""What stands for a text that is not UTF-8 (surrogates, encoded, and a byte that is never), and what is sent in its place: as long."""

UNKNOWN: Final = "0123456789abcdef" * 2
"""The digits of an id that nobody has."""

HOSTILE_JSON: Final = (
    "[" * 3_000,
    '{"a":' * 90 + "1" + "}" * 90,
    '{"text": "\\ud800"}',
    '{"text": "\\u0000"}',
    '{"a": 1e999, "b": -1e999, "c": 123456789012345678901234567890}',
    '{"a": NaN}',
    '{"\\udfff": {"\\u0000": []}}',
    "null",
    '"text"',
    "{",
    '{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}',
    '{"type": "string", "pattern": "("}',
    '{"$ref": "https://192.0.2.1/schema.json"}',
    "9" * 5_000,
)
"""JSON that breaks those who trust it: too deep, too large, half of a pair, the character U+0000."""

HOSTILE_TEXTS: Final = (
    "\0",
    "a\0b",
    "",
    " ",
    "\n",
    "a\r\nb",
    "\x1b[31m",
    "\x7f\x85",
    "\u202eabc",
    "\ufeff\ufffe\uffff",
    "e\u0301" * 40,
    "\U0001f600" * 40,
    "\U0010ffff",
    "x" * 300,
    "x" * 70_000,
    "\U0001f600" * 20_000,
    "\u0661\u0662",
    "İıſK",
    "../../etc/passwd",
    "%00%2e%2e%2f",
    "' OR 1=1 --",
    "%' ESCAPE",
    '"unbalanced AND (',
    "* NEAR/9999999999 ^",
    "{{7*7}} ${7*7} {x.__class__}",
    "-1",
    "1e999",
    "9" * 400,
    "http://[::1",
    "http://\0/",
    "https://a:99999999/",
    "https://user:pass@192.0.2.1/",
    "javascript:alert(1)",
    f"ses_{UNKNOWN}",
    "ses_" + "F" * 32,
    "FREQ=SECONDLY;INTERVAL=0",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31",
    "FREQ=DAILY;UNTIL=99991231T235959Z",
    "FREQ=DAILY;COUNT=99999999999999999999",
    "9999-12-31",
    "0000-00-00",
    "2026-02-30",
    "../Europe/Berlin",
    "Europe/",
    "/etc/localtime",
    _NOT_UTF8[0],
    *HOSTILE_JSON,
)

_TIMES: Final = ((-62_135_596_800, 0), (-62_135_596_801, 0), (253_402_300_799, 999_999_999), (253_402_300_800, 0))
_HOSTILE_MOMENTS: Final = (
    *_TIMES,
    (2**63 - 1, 0),
    (-(2**63), 0),
    (0, -1),
    (0, 2**31 - 1),
    (0, -(2**31)),
    (315_576_000_001, 0),
    (1, -1),
)
_PLAUSIBLE_TEXTS: Final = ("Green tea", "a", "How do I add a provider?", "Holidays in May\n\nClosed on 1 May.", "Grün")

_INTEGER_BOUNDS: Final = {
    **dict.fromkeys((FieldDescriptor.CPPTYPE_INT32,), (-(2**31), 2**31 - 1)),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS: Final = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


@dataclass(frozen=True)
class Words:
    """What is plausible in texts and bytes, by the name of the field."""

    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By the field's name, or by the end of it: `session_id`, `_url`."""
    bodies: Sequence[bytes] = (b"", b"{}", b"a piece of a file")

    def of(self, name: str) -> Sequence[str]:
        """Texts that a field of this name may hold."""
        return self.texts.get(name) or self.texts.get(name.removesuffix("s")) or _PLAUSIBLE_TEXTS


def requests_of(descriptor: Descriptor, words: Words) -> st.SearchStrategy[bytes]:
    """Requests of one kind, as they go over the wire."""
    return _Arbitrary(words).requests(descriptor)


class _Arbitrary:
    """Draws messages. What exists is drawn by its place in a list, so a run with other ids draws the same."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def requests(self, descriptor: Descriptor) -> st.SearchStrategy[bytes]:
        @st.composite
        def draw_request(draw: st.DrawFn) -> bytes:
            # How many of eight fields are hostile; -1 is exactly one of all.
            share = draw(st.sampled_from((0, 0, -1, -1, -1, 1, 4)))
            message = self._message(draw, descriptor, share, depth=0, name="")
            encoded = message.SerializeToString(deterministic=True)
            if _NOT_UTF8[0].encode() in encoded:
                encoded = encoded.replace(_NOT_UTF8[0].encode(), _NOT_UTF8[1])
            return encoded

        return draw_request()

    def _message(self, draw: st.DrawFn, descriptor: Descriptor, share: int, depth: int, name: str) -> Message:
        message = message_factory.GetMessageClass(descriptor)()
        if descriptor.full_name in _WELL_KNOWN:
            _WELL_KNOWN[descriptor.full_name](self, draw, message, share != 0 and _hostile(draw, share), name)
            return message
        fields = list(descriptor.fields)
        chosen = draw(st.integers(0, len(fields) - 1)) if share == -1 and fields else -1
        for place, each in enumerate(fields):
            if share == -1:
                inner = -1 if place == chosen else 0
                there = place == chosen or self._is_set(draw, each)
            else:
                inner = share
                there = self._is_set(draw, each)
            # What lies deep is often left out: a message that may hold itself would never end.
            if there and (depth < 3 or each.message_type is None):
                self._set(draw, message, each, inner, depth)
        return message

    def _is_set(self, draw: st.DrawFn, each: FieldDescriptor) -> bool:
        """Most fields are; of those that exclude each other, and of those that need not be there, fewer."""
        rare = each.containing_oneof is not None or (each.message_type is not None and not each.is_repeated)
        return draw(st.integers(0, 7)) > (4 if rare else 0)

    def _set(self, draw: st.DrawFn, message: Message, each: FieldDescriptor, share: int, depth: int) -> None:
        if each.message_type is not None and each.message_type.GetOptions().map_entry:
            self._set_map(draw, message, each, share, depth)
        elif each.is_repeated:
            values = self._values(draw, each, share, depth)
            getattr(message, each.name).extend(values)
        elif each.message_type is not None:
            getattr(message, each.name).CopyFrom(self._message(draw, each.message_type, share, depth + 1, each.name))
        else:
            setattr(message, each.name, self._scalar(draw, each, share))

    def _values(self, draw: st.DrawFn, each: FieldDescriptor, share: int, depth: int) -> list[Any]:
        def one(share: int) -> Any:
            if each.message_type is not None:
                return self._message(draw, each.message_type, share, depth + 1, each.name)
            return self._scalar(draw, each, share)

        if share and draw(st.integers(0, 4)) == 0:
            # Many, and all the same.
            return [one(0)] * draw(st.sampled_from((2, 40, 1_200)))
        count = draw(st.integers(1 if share == -1 else 0, 2))
        return [one(share if place == 0 or share > 0 else 0) for place in range(count)]

    def _set_map(self, draw: st.DrawFn, message: Message, each: FieldDescriptor, share: int, depth: int) -> None:
        assert each.message_type is not None
        key, value = (each.message_type.fields_by_name[name] for name in ("key", "value"))
        entries = getattr(message, each.name)
        if share and draw(st.integers(0, 7)) == 0:
            for number in range(300):
                entries[f"k{number}"] = self._scalar(draw, value, 0) if number == 0 else entries["k0"]
            return
        for _ in range(draw(st.integers(1 if share == -1 else 0, 2))):
            name = self._scalar(draw, key, share if draw(st.booleans()) else 0)
            if value.message_type is not None:
                entries[name].CopyFrom(self._message(draw, value.message_type, share, depth + 1, each.name))
            else:
                entries[name] = self._scalar(draw, value, share)

    def _scalar(self, draw: st.DrawFn, each: FieldDescriptor, share: int) -> Any:
        hostile = share != 0 and _hostile(draw, share)
        kind = each.cpp_type
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return draw(st.booleans())
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            assert each.enum_type is not None
            known = [value.number for value in each.enum_type.values]
            return draw(st.sampled_from([-1, 99, 2**31 - 1, -(2**31)] if hostile else known))
        if kind in _FLOATS:
            if not hostile:
                return draw(st.sampled_from((0.0, 0.5, 1.0)))
            return draw(st.sampled_from((float("nan"), float("inf"), float("-inf"), -0.0, -1.0, 1e30, 1e-40)))
        if kind in _INTEGER_BOUNDS:
            low, high = _INTEGER_BOUNDS[kind]
            if not hostile:
                return draw(st.sampled_from((1, 2, 10, 0)))
            return draw(st.sampled_from((low, high, max(low, -1), 2**31 - 1, 1_000_000, 10_001)))
        if each.type == FieldDescriptor.TYPE_BYTES:
            return self._bytes(draw, hostile)
        return self._text(draw, each.name, hostile)

    def _bytes(self, draw: st.DrawFn, hostile: bool) -> bytes:
        if hostile:
            return draw(st.one_of(st.sampled_from([text.encode() for text in HOSTILE_JSON]), st.binary(max_size=40)))
        return draw(st.sampled_from(list(self._words.bodies)))

    def _text(self, draw: st.DrawFn, name: str, hostile: bool) -> str:
        if not hostile:
            return draw(st.sampled_from(list(self._words.of(name))))
        # Half of what there is, so that a text begins as it should and then does not.
        begun = draw(st.sampled_from(("", "", "", *self._words.of(name))))
        return begun + draw(
            st.one_of(st.sampled_from(HOSTILE_TEXTS), st.sampled_from(HOSTILE_TEXTS), st.text(max_size=30))
        )

    def time(self, draw: st.DrawFn, message: Any, hostile: bool, name: str) -> None:
        """A Timestamp or a Duration."""
        late = name.startswith(("end", "due", "update_time_to"))
        plausible = ((1_796_000_000, 500_000_000), (86_400, 0)) if late else ((1_795_990_000, 0), (3_600, 0))
        moments = _HOSTILE_MOMENTS if hostile else plausible
        message.seconds, message.nanos = draw(st.sampled_from(moments))

    def mask(self, draw: st.DrawFn, message: Any, hostile: bool, name: str) -> None:
        """A FieldMask."""
        names = ("title", "description", "name", "update_mask", "due_time", "text", "project_id", "enabled")
        wrong = ("*", "", "a.b.c", "title.title", "\0", "x" * 5_000, "Title", _NOT_UTF8[0], "__class__")
        count = draw(st.sampled_from((0, 1, 2)))
        message.paths.extend(draw(st.sampled_from(wrong if hostile and not place else names)) for place in range(count))
        if hostile and draw(st.integers(0, 5)) == 0:
            message.paths.extend(["title"] * 2_000)

    def structure(self, draw: st.DrawFn, message: Any, hostile: bool, name: str) -> None:
        """A Struct: often a JSON Schema."""
        message.update(_drawn_json(draw, hostile))

    def value(self, draw: st.DrawFn, message: Any, hostile: bool, name: str) -> None:
        """A Value: any JSON."""
        choice = draw(st.integers(0, 8))
        if choice == 0:
            message.null_value = 0
        elif choice == 1:
            message.number_value = draw(st.sampled_from((float("nan"), float("inf"), -1.0) if hostile else (0.0, 1.0)))
        elif choice == 2:
            message.bool_value = True
        elif choice == 3:
            message.struct_value.update(_drawn_json(draw, hostile))
        elif choice == 4:
            message.list_value.extend([_drawn_json(draw, hostile), self._text(draw, "", hostile), None])
        else:
            message.string_value = self._text(draw, name, hostile)

    def any(self, draw: st.DrawFn, message: Any, hostile: bool, name: str) -> None:
        """An Any of something that nobody knows."""
        message.type_url = "type.googleapis.com/parley.Nothing" if not hostile else _NOT_UTF8[0]
        message.value = draw(st.binary(max_size=8))


_WELL_KNOWN: Final[Mapping[str, Any]] = {
    "google.protobuf.Timestamp": _Arbitrary.time,
    "google.protobuf.Duration": _Arbitrary.time,
    "google.protobuf.FieldMask": _Arbitrary.mask,
    "google.protobuf.Struct": _Arbitrary.structure,
    "google.protobuf.Value": _Arbitrary.value,
    "google.protobuf.Any": _Arbitrary.any,
}


def _hostile(draw: st.DrawFn, share: int) -> bool:
    return share == -1 or draw(st.integers(0, 7)) < share


def _drawn_json(draw: st.DrawFn, hostile: bool) -> dict[str, Any]:
    if not hostile:
        return draw(
            st.sampled_from(
                (
                    {},
                    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
                    {"type": "text", "text": "Green tea"},
                    {"a": [1, "b", None, {"c": True}]},
                )
            )
        )
    deep: dict[str, Any] = {}
    for _ in range(20):
        deep = (
            {"type": "object", "properties": {"a": deep}, "items": [deep]}
            if len(json.dumps(deep)) < 20_000
            else {"a": deep}
        )
    return draw(
        st.sampled_from(
            (
                deep,
                {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
                {"$ref": "https://192.0.2.1/schema.json"},
                {"$ref": "#/definitions/none"},
                {"$dynamicRef": "#x", "$id": "\0"},
                {"type": "string", "pattern": "("},
                {"type": "object", "patternProperties": {"(a+)+$": {}, "[": {}}},
                {"type": "nothing", "enum": 7, "minimum": "x", "required": True},
                {"type": "integer", "multipleOf": 0, "maximum": 1e308},
                {"": "\0", "\0": "", "a" * 5_000: None},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,!!!"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": 3},
                {"type": ["text"], "text": {"a": 1}},
                {"allOf": [{"anyOf": [{"oneOf": [False, True, {}]}]}] * 50},
            )
        )
    )
