"""Checks the JSON Schemas of a request to generate: its answer's, and those of its tools. Not the bounds of its other fields: those are
validation.py's.
"""

from __future__ import annotations

import json

from parley_shared.validation import Violations

from parley_inference.domain.prompt import GenerationRequest
from parley_inference.ports.schema_checker import SchemaChecker, UnusableSchemaError

SCHEMA_BYTES_MOST = 100_000


async def check_schemas(request: GenerationRequest, checker: SchemaChecker) -> None:
    """Raises INVALID_ARGUMENT for what is no JSON Schema, or one that cannot be used."""
    violations = Violations()
    schemas = [
        (f"tools[{index}].parameters_schema", tool.parameters_schema) for index, tool in enumerate(request.tools)
    ]
    if request.response_schema is not None:
        size = len(json.dumps(request.response_schema, ensure_ascii=False, separators=(",", ":")).encode())
        if size > SCHEMA_BYTES_MOST:
            violations.add("response_schema", f"must have at most {SCHEMA_BYTES_MOST} bytes as JSON; it has {size}")
        else:
            schemas.append(("response_schema", request.response_schema))
    for field, schema in schemas:
        if not schema and field != "response_schema":
            continue
        try:
            await checker.check(schema)
        except UnusableSchemaError as error:
            violations.add(field, str(error))
    violations.check()
