"""The OpenAPI 3.1 document of REST, made from the table of operations and their models."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from mcp_gateway import __version__
from mcp_gateway.downstream.call_events import EventKind
from mcp_gateway.downstream.event_stream import MEDIA_TYPE
from mcp_gateway.downstream.rest.answers import ErrorBody
from mcp_gateway.downstream.rest.operation import PREFIX, Operation
from mcp_gateway.downstream.rest.table import OPERATIONS

_REF: Final = "#/components/schemas/{model}"

_ALWAYS: Final = (401, 403, 429, 500)
_WITH_INPUT: Final = (400,)
_WITH_BODY: Final = (413,)

_EVENT: Final = {
    "type": "object",
    "description": "One event. While the call runs `progress` and `log`, of an ask `status`, `tool_call`, "
    "`tool_result` and `delta`; at the end `done` with the answer, or `error` with the error body.",
    "properties": {
        "id": {"type": "string", "description": "Counted from 1."},
        "event": {"enum": [*EventKind, "done", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["id", "event", "data"],
}
"""As tools read event streams: a schema of each event."""


def document(base_path: str = "") -> dict[str, Any]:
    """Plain data; `base_path` is what stands before `/api/v1`."""
    schemas, definitions = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        described = _operation(operation, schemas)
        paths.setdefault(PREFIX + _plain_path(operation), {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mcp-gateway",
            "version": __version__,
            "summary": "One endpoint in front of all of your MCP servers.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_path or "/"}],
        # Any of them; the last is for a gateway on loopback without keys.
        "security": [{"bearer": []}, {"apiKey": []}, {}],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key of the gateway."},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
            },
        },
    }


Schemas = dict[type[BaseModel], dict[str, Any]]


def _schemas() -> tuple[Schemas, dict[str, Any]]:
    """A reference for each model of the table, and what they refer to."""
    bodies = [operation.body for operation in OPERATIONS if operation.body is not None]
    answers: list[type[BaseModel]] = [ErrorBody, *(operation.answer for operation in OPERATIONS)]
    modes: dict[type[BaseModel], JsonSchemaMode] = {
        **dict.fromkeys(bodies, "validation"),
        **dict.fromkeys(answers, "serialization"),
    }
    references, made = models_json_schema(list(modes.items()), ref_template=_REF)
    return {model: references[model, mode] for model, mode in modes.items()}, made["$defs"]


def _operation(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}_{re.sub(r'[^a-z]+', '_', _plain_path(operation)).strip('_')}",
        "summary": operation.summary,
        "responses": {"200": _answer(operation, schemas)} | _failures(operation, schemas),
    }
    if operation.scope is not None:
        described["description"] = f"Needs the scope `{operation.scope}`."
    if parameters := [*_path_parameters(operation), *_query_parameters(operation)]:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {
            "required": any(field.is_required() for field in operation.body.model_fields.values()),
            "content": {"application/json": {"schema": schemas[operation.body]}},
        }
    return described


def _plain_path(operation: Operation) -> str:
    return operation.path.replace(":path}", "}")


def _answer(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": schemas[operation.answer]}}
    if operation.streams:
        content[MEDIA_TYPE] = {"schema": _EVENT}
    return {"description": operation.answer.__doc__ or "", "content": content}


def _failures(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    statuses = {*_ALWAYS, *operation.failures}
    statuses |= {*_WITH_INPUT} if operation.body or operation.query else set()
    statuses |= {*_WITH_BODY} if operation.body else set()
    return {str(status): _failure(status, schemas) for status in sorted(statuses)}


def _failure(status: int, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": schemas[ErrorBody]}},
    }
    if status in (429, 503):
        seconds = {"description": "Seconds until it is worth trying again.", "schema": {"type": "integer"}}
        described["headers"] = {"Retry-After": seconds}
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)", operation.path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    properties = operation.query.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "description": schema.pop("description", ""), "schema": schema}
        for name, schema in properties.items()
    ]
