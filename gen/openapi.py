"""The OpenAPI 3.1 document of the REST form of the contracts, made from what buf knows of them. `generate.py` runs it, last.

It says what the edge does with them: JSON with the contract's own field names, 64-bit numbers as texts, enums by name, server-sent
events for streams, `google.api.HttpBody` as bytes. It reads descriptors and comments; it holds no list of rpcs, and an rpc without a
REST form is not in it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from parley.access.v1 import access_pb2

Field = descriptor_pb2.FieldDescriptorProto
Schema = dict[str, Any]

_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_MESSAGE_FIELD, _NESTED_MESSAGE, _NESTED_ENUM, _ENUM_VALUE, _METHOD = 2, 3, 4, 2, 2

_HTTP_BODY: Final = "google.api.HttpBody"
_INT64: Final[Schema] = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_UINT64: Final[Schema] = {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}
_INT32: Final[Schema] = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32: Final[Schema] = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**32 - 1}

_SCALARS: Final[dict[int, Schema]] = {
    Field.TYPE_DOUBLE: {"type": "number", "format": "double"},
    Field.TYPE_FLOAT: {"type": "number", "format": "float"},
    Field.TYPE_BOOL: {"type": "boolean"},
    Field.TYPE_STRING: {"type": "string"},
    Field.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    **dict.fromkeys((Field.TYPE_INT64, Field.TYPE_SINT64, Field.TYPE_SFIXED64), _INT64),
    **dict.fromkeys((Field.TYPE_UINT64, Field.TYPE_FIXED64), _UINT64),
    **dict.fromkeys((Field.TYPE_INT32, Field.TYPE_SINT32, Field.TYPE_SFIXED32), _INT32),
    **dict.fromkeys((Field.TYPE_UINT32, Field.TYPE_FIXED32), _UINT32),
}

_WELL_KNOWN: Final[dict[str, Schema]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$",
        "examples": ["3600s"],
    },
    "google.protobuf.FieldMask": {"type": "string", "description": "Names of fields, separated by commas."},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Value": {},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "additionalProperties": True,
    },
    "google.protobuf.Empty": {"type": "object"},
    _HTTP_BODY: {"type": "string", "format": "binary"},
}

_ERRORS: Final = {
    "400": "INVALID_ARGUMENT or FAILED_PRECONDITION: a field is out of its bounds (the details name it), or the state does not allow it.",
    "401": "UNAUTHENTICATED: there is no token, or it is not good.",
    "403": "PERMISSION_DENIED: the token lacks the scope, or may not do this.",
    "404": "NOT_FOUND: it does not exist, or is somebody else's.",
    "429": "RESOURCE_EXHAUSTED: too much or too often; `retry-after` and the RetryInfo say when to come again.",
    "503": "UNAVAILABLE: a service that answers this does not answer now; try again.",
    "default": "Any other error.",
}

_STREAM_FIELD: Final[Schema] = {
    "type": "boolean",
    "default": False,
    "description": "Whether the answer is streamed, as server-sent events.",
}


@dataclass(frozen=True)
class _Message:
    """One message of the contracts."""

    name: str
    """Its full name, without a dot in front."""
    descriptor: descriptor_pb2.DescriptorProto
    comment: str
    fields: dict[str, str]
    """The comments of its fields."""


@dataclass
class _Contract:
    """Everything of the contracts, by full name."""

    messages: dict[str, _Message] = field(default_factory=dict)
    enums: dict[str, tuple[descriptor_pb2.EnumDescriptorProto, str, list[str]]] = field(default_factory=dict)

    def add(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        """Takes a file in."""
        comments = comments_of(file)
        for number, message in enumerate(file.message_type):
            self._add_message(message, f"{file.package}.{message.name}", (_MESSAGE, number), comments)
        for number, enum in enumerate(file.enum_type):
            self._add_enum(enum, f"{file.package}.{enum.name}", (_ENUM, number), comments)

    def _add_message(
        self,
        message: descriptor_pb2.DescriptorProto,
        name: str,
        path: tuple[int, ...],
        comments: dict[tuple[int, ...], str],
    ) -> None:
        of_fields = {
            each.name: comments.get((*path, _MESSAGE_FIELD, place), "") for place, each in enumerate(message.field)
        }
        self.messages[name] = _Message(name, message, comments.get(path, ""), of_fields)
        for place, nested in enumerate(message.nested_type):
            self._add_message(nested, f"{name}.{nested.name}", (*path, _NESTED_MESSAGE, place), comments)
        for place, enum in enumerate(message.enum_type):
            self._add_enum(enum, f"{name}.{enum.name}", (*path, _NESTED_ENUM, place), comments)

    def _add_enum(
        self,
        enum: descriptor_pb2.EnumDescriptorProto,
        name: str,
        path: tuple[int, ...],
        comments: dict[tuple[int, ...], str],
    ) -> None:
        values = [comments.get((*path, _ENUM_VALUE, place), "") for place in range(len(enum.value))]
        self.enums[name] = enum, comments.get(path, ""), values


@dataclass(frozen=True)
class _Rest:
    """One REST form of one rpc."""

    package: str
    service: str
    method: descriptor_pb2.MethodDescriptorProto
    comment: str
    verb: str
    path: str
    body: str
    response_body: str
    first: bool
    """Whether it is the rpc's main form."""

    @property
    def read(self) -> bool:
        return self.method.options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS

    @property
    def input(self) -> str:
        return self.method.input_type.removeprefix(".")

    @property
    def output(self) -> str:
        return self.method.output_type.removeprefix(".")


def comments_of(file: descriptor_pb2.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """What stands above each part of a file, by its path: paragraphs, each in one line."""
    return {
        tuple(place.path): "\n\n".join(" ".join(part.split()) for part in place.leading_comments.split("\n\n")).strip()
        for place in file.source_code_info.location
    }


def document(contract: descriptor_pb2.FileDescriptorSet, release: str) -> Schema:
    """The whole document. `contract` has comments, and what it imports."""
    known = _Contract()
    for file in contract.file:
        known.add(file)
    forms = [form for file in contract.file for form in _forms(file)]
    return _Writer(known).write(forms, contract, release)


def _forms(file: descriptor_pb2.FileDescriptorProto) -> Iterator[_Rest]:
    comments = comments_of(file)
    for number, service in enumerate(file.service):
        for place, method in enumerate(service.method):
            if not method.options.HasExtension(annotations_pb2.http):
                continue
            rule = method.options.Extensions[annotations_pb2.http]
            for turn, binding in enumerate([rule, *rule.additional_bindings]):
                verb = binding.WhichOneof("pattern")
                if verb is None or verb == "custom":
                    message = f"{method.name} has a verb that OpenAPI does not know"
                    raise ValueError(message)
                comment = comments.get((_SERVICE, number, _METHOD, place), "")
                yield _Rest(
                    file.package, service.name, method, comment, verb, getattr(binding, verb), binding.body,
                    binding.response_body, turn == 0,
                )  # fmt: skip


class _Writer:
    def __init__(self, known: _Contract) -> None:
        self._known = known
        self._asked: set[str] = set()
        self._sent: set[str] = set()
        """Messages that requests hold, and those that responses hold."""

    def write(self, forms: Sequence[_Rest], contract: descriptor_pb2.FileDescriptorSet, release: str) -> Schema:
        self._asked = self._reached(form.input for form in forms)
        self._sent = self._reached(form.output for form in forms)
        paths: Schema = {}
        for form in forms:
            twin = next((f for f in forms if (f.verb, f.path) == (form.verb, f"{form.path}:stream")), None)
            if form.verb in paths.get(form.path, {}):
                message = f"two rpcs have {form.verb} {form.path}"
                raise ValueError(message)
            paths.setdefault(form.path, {})[form.verb] = self._operation(form, twin)
        tags = [
            {"name": f"{file.package}.{service.name}", "description": comments_of(file).get((_SERVICE, number), "")}
            for file in contract.file
            for number, service in enumerate(file.service)
            if any(form.service == service.name and form.package == file.package for form in forms)
        ]
        schemas = {
            **{name: self._message(self._known.messages[name]) for name in sorted(self._asked | self._sent)},
            **{name: self._enum(name) for name in sorted(self._enums())},
            **_error_schemas(),
        }
        return {
            "openapi": "3.1.0",
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "info": {
                "title": "Parley",
                "version": release,
                "summary": "A backend for chat with AI.",
                "description": "The REST form of Parley's contracts, made from them. The same rpcs are there as gRPC and gRPC-web. "
                "Requests may leave fields out; answers hold all but messages that are absent. An answer may gain fields: pass over those "
                "that you do not know.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"token": []}],
            "tags": sorted(tags, key=lambda tag: tag["name"]),
            "paths": {path: paths[path] for path in sorted(paths)},
            "components": {
                "securitySchemes": {
                    "token": {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "JWT",
                        "description": "An access token of a sign-in, or a personal access token; with the scope that an operation names.",
                    }
                },
                "responses": {_error_name(status): _error_response(status) for status in _ERRORS},
                "schemas": {name: schemas[name] for name in sorted(schemas)},
            },
        }

    def _operation(self, form: _Rest, twin: _Rest | None) -> Schema:
        rule = form.method.options.Extensions[access_pb2.rule]
        anonymous, scope = rule.anonymous, rule.scope
        message = self._known.messages[form.input]
        in_path = re.findall(r"\{(\w+)\}", form.path)
        parameters = [self._path_parameter(message, name) for name in in_path]
        if form.body != "*":
            left_out = {*in_path, form.body}
            parameters += [
                parameter
                for each in message.descriptor.field
                if each.name not in left_out and not (form.body and form.method.client_streaming and _is_bytes(each))
                for parameter in self._query_parameters(message, each, ())
            ]
        if twin and not form.body:
            parameters.append({"name": "stream", "in": "query", "schema": {"type": "boolean", "default": False}})
            parameters[-1]["description"] = _STREAM_FIELD["description"]
        summary, _, more = form.comment.partition("\n\n")
        first, stop, rest = summary.partition(". ")
        operation: Schema = {
            "operationId": f"{form.service}_{form.method.name}"
            if form.first
            else f"{form.service}_{form.method.name}_{form.verb}",
            "tags": [f"{form.package}.{form.service}"],
            "summary": first if not stop else f"{first}.",
            "description": "\n\n".join(part for part in (rest, more) if part),
            "security": [] if anonymous else [{"token": [scope] if scope else []}],
            "x-grpc-method": f"{form.package}.{form.service}/{form.method.name}",
        }
        if not operation["description"]:
            del operation["description"]
        if form.read:
            operation["x-idempotent"] = True
        if form.method.options.deprecated:
            operation["deprecated"] = True
        if parameters:
            operation["parameters"] = parameters
        if form.body:
            operation["requestBody"] = self._request_body(form, message, in_path, twin)
        operation["responses"] = self._responses(form, twin, anonymous)
        return operation

    def _path_parameter(self, message: _Message, name: str) -> Schema:
        [each] = [each for each in message.descriptor.field if each.name == name]
        return {
            "name": name,
            "in": "path",
            "required": True,
            "description": message.fields[name],
            "schema": {**self._value(each), "minLength": 1} if each.type == Field.TYPE_STRING else self._value(each),
        }

    def _query_parameters(self, message: _Message, each: Field, before: tuple[str, ...]) -> Iterator[Schema]:
        name = each.type_name.removeprefix(".")
        if each.type == Field.TYPE_MESSAGE and name not in _WELL_KNOWN:
            nested = self._known.messages[name]
            if nested.descriptor.options.map_entry or each.label == Field.LABEL_REPEATED:
                return  # No query can hold it.
            for inner in nested.descriptor.field:
                yield from self._query_parameters(nested, inner, (*before, each.name))
            return
        if name in {
            "google.protobuf.Struct",
            "google.protobuf.Value",
            "google.protobuf.ListValue",
            "google.protobuf.Any",
            _HTTP_BODY,
        }:
            return
        parameter: Schema = {
            "name": ".".join((*before, each.name)),
            "in": "query",
            "description": message.fields[each.name],
            "schema": self._field_schema(each),
        }
        if _is_required(message.fields[each.name]) and not before:
            parameter["required"] = True
        yield parameter

    def _request_body(self, form: _Rest, message: _Message, in_path: Sequence[str], twin: _Rest | None) -> Schema:
        if form.body != "*":
            [each] = [each for each in message.descriptor.field if each.name == form.body]
            if each.type_name.removeprefix(".") == _HTTP_BODY:
                return {
                    "description": message.fields[form.body],
                    "required": form.method.client_streaming,
                    "content": {"*/*" if form.package != "parley.mcp.v1" else "application/json": {"schema": {}}},
                }
            return {"required": True, "content": {"application/json": {"schema": self._field_schema(each)}}}
        schema: Schema = _ref(form.input)
        if in_path or twin:
            # The path holds the rest; a body that repeats it is overruled by it.
            schema = {**self._message(message)}
            properties = {name: value for name, value in schema["properties"].items() if name not in in_path}
            if twin:
                # What only the twin takes may stand there too.
                more = self._message(self._known.messages[twin.input])["properties"]
                properties = {**more, **properties, "stream": _STREAM_FIELD}
            schema["properties"] = properties
            if required := [name for name in schema.pop("required", ()) if name not in in_path]:
                schema["required"] = required
        needed = schema.get("required") if "$ref" not in schema else self._message(message).get("required")
        return {"required": bool(needed), "content": {"application/json": {"schema": schema}}}

    def _responses(self, form: _Rest, twin: _Rest | None, anonymous: bool) -> Schema:
        done: Schema = {"description": "Done.", "content": self._content(form)}
        if twin:
            done["content"] = {**self._content(twin), **done["content"]}
        responses: Schema = {"200": done}
        if form.package == "parley.mcp.v1":
            responses["202"] = {"description": "Taken: a message that nothing is answered to."}
        statuses = [status for status in _ERRORS if not (anonymous and status == "403")]
        family = {"parley.openai.v1": "OpenAI", "parley.mcp.v1": "MCP"}.get(form.package, "")
        for status in statuses:
            if not family:
                responses[status] = {"$ref": f"#/components/responses/{_error_name(status)}"}
            else:
                schemas = [_ref(f"{family}Error")] + ([_ref("Error")] if family == "MCP" else [])
                schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
                responses[status] = {
                    "description": _ERRORS[status],
                    "content": {"application/json": {"schema": schema}},
                }
        return responses

    def _content(self, form: _Rest) -> Schema:
        schema = _ref(form.output)
        if form.response_body:
            output = self._known.messages[form.output]
            [each] = [each for each in output.descriptor.field if each.name == form.response_body]
            if each.type_name.removeprefix(".") == _HTTP_BODY:
                type_named = re.search(r"`((?:application|text)/[\w.+-]+)", output.fields[form.response_body])
                return {type_named[1] if type_named else "*/*": {"schema": {}}}
            schema = self._field_schema(each)
        if form.method.server_streaming:
            # One JSON document in the data of each event; OpenAPI 3.1 has no word for that.
            return {
                "text/event-stream": {
                    "schema": {
                        "description": "Server-sent events; the data of each is one JSON document."
                    },
                    "x-item-schema": schema,
                }
            }
        return {"application/json": {"schema": schema}}

    def _message(self, message: _Message) -> Schema:
        schema: Schema = {"type": "object"}
        if message.comment:
            schema["description"] = message.comment
        only_asked = message.name in self._asked - self._sent
        schema["properties"] = {
            each.name: self._described(self._field_schema(each, asked=only_asked), message.fields[each.name])
            for each in message.descriptor.field
        }
        # Answers hold what is required without being told.
        if only_asked:
            required = [each.name for each in message.descriptor.field if _is_required(message.fields[each.name])]
            if required:
                schema["required"] = required
        for place, oneof in enumerate(message.descriptor.oneof_decl):
            members = [
                each.name
                for each in message.descriptor.field
                if each.HasField("oneof_index") and each.oneof_index == place and not each.proto3_optional
            ]
            for each in members:
                schema["properties"][each]["x-oneof"] = oneof.name
        return schema

    @staticmethod
    def _described(schema: Schema, comment: str) -> Schema:
        return {**schema, "description": comment} if comment else schema

    def _field_schema(self, each: Field, *, asked: bool = False) -> Schema:
        if each.label != Field.LABEL_REPEATED:
            return self._value(each, asked=asked)
        nested = self._known.messages.get(each.type_name.removeprefix("."))
        if nested is not None and nested.descriptor.options.map_entry:
            [value] = [inner for inner in nested.descriptor.field if inner.name == "value"]
            return {"type": "object", "additionalProperties": self._value(value, asked=asked)}
        return {"type": "array", "items": self._value(each, asked=asked)}

    def _value(self, each: Field, *, asked: bool = False) -> Schema:
        name = each.type_name.removeprefix(".")
        if name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[name])
        if name:
            return _ref(name)
        scalar = dict(_SCALARS[each.type])
        if asked and scalar.get("format") in {"int64", "uint64"} and scalar["type"] == "string":
            # Answers write them as texts, because many readers of JSON lose digits; requests may write them as numbers.
            scalar["type"] = ["string", "integer"]
        return scalar

    def _enum(self, name: str) -> Schema:
        enum, comment, values = self._known.enums[name]
        told = [f"- `{value.name}`: {words}" for value, words in zip(enum.value, values, strict=True) if words]
        return {
            "type": "string",
            "enum": [value.name for value in enum.value],
            "description": "\n".join([comment, "", *told]),
        }

    def _reached(self, names: Iterable[str]) -> set[str]:
        """The messages that these hold, and they themselves, without those of Google and those that stand for maps."""
        reached: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name in reached or name in _WELL_KNOWN:
                continue
            reached.add(name)
            left += [
                each.type_name.removeprefix(".")
                for each in self._known.messages[name].descriptor.field
                if each.type == Field.TYPE_MESSAGE
            ]
        return {name for name in reached if not self._known.messages[name].descriptor.options.map_entry}

    def _enums(self) -> set[str]:
        return {
            each.type_name.removeprefix(".")
            for name in self._reached(self._asked | self._sent)
            for each in self._known.messages[name].descriptor.field
            if each.type == Field.TYPE_ENUM
        }


def _is_bytes(each: Field) -> bool:
    """A piece of an upload over gRPC: over REST it is the body."""
    return each.type == Field.TYPE_BYTES


def _is_required(comment: str) -> bool:
    return re.search(r"(?:^|[.:] )Required[.;]", comment) is not None


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _error_name(status: str) -> str:
    return f"Error{status}" if status != "default" else "Error"


def _error_response(status: str) -> Schema:
    return {"description": _ERRORS[status], "content": {"application/json": {"schema": _ref("Error")}}}


def _error_schemas() -> dict[str, Schema]:
    """The bodies of errors. What their reasons mean is in docs/guide/errors.md."""
    detail: Schema = {
        "type": "object",
        "description": "A google.rpc.ErrorInfo (the reason, and `trace_id` in its metadata), BadRequest (the fields that are wrong) or "
        "RetryInfo (when to come again), as `@type` says.",
        "required": ["@type"],
        "properties": {
            "@type": {"type": "string", "examples": ["type.googleapis.com/google.rpc.ErrorInfo"]},
            "reason": {
                "type": "string",
                "description": "A value of parley.errors.v1.ErrorReason.",
                "examples": ["ERROR_REASON_INVALID_FIELD"],
            },
            "domain": {"type": "string", "examples": ["parley"]},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            "field_violations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"field": {"type": "string"}, "description": {"type": "string"}},
                },
            },
            "retry_delay": {"type": "string", "examples": ["2s"]},
        },
        "additionalProperties": True,
    }
    return {
        "Error": {
            "type": "object",
            "description": "An error: a google.rpc.Status.",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 16,
                    "description": "The gRPC status, as a number.",
                },
                "message": {"type": "string", "description": "What is wrong, in words for people."},
                "details": {"type": "array", "items": _ref("ErrorDetail")},
            },
        },
        "ErrorDetail": detail,
        "OpenAIError": {
            "type": "object",
            "description": "An error as OpenAI's clients know it.",
            "required": ["error"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["message", "type", "param", "code"],
                    "properties": {
                        "message": {"type": "string"},
                        "type": {"type": "string"},
                        "param": {"type": ["string", "null"]},
                        "code": {
                            "type": ["string", "null"],
                            "description": "The ErrorReason in lower case, without its prefix.",
                        },
                    },
                }
            },
        },
        "MCPError": {
            "type": "object",
            "description": "An error of JSON-RPC.",
            "required": ["jsonrpc", "error"],
            "properties": {
                "jsonrpc": {"const": "2.0"},
                "id": {"type": ["string", "number", "null"]},
                "error": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}, "data": {}},
                },
            },
        },
    }


def main() -> None:
    """Writes the document of the first argument, an image of buf with comments, to the file that the second one names."""
    contract = descriptor_pb2.FileDescriptorSet.FromString(Path(sys.argv[1]).read_bytes())
    made = document(contract, version("parley-protos"))
    Path(sys.argv[2]).write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
