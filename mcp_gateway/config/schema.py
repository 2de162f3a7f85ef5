"""The JSON Schema of the file, for editors: our settings, and the spellings of hosts beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from mcp_gateway.config.hosts import HOST_KEYS, HOST_ROOT_KEYS, RENAMED, TOOL_LISTS, TYPES
from mcp_gateway.config.model import Settings
from mcp_gateway.config.roots import SERVER_KEYS
from mcp_gateway.config.servers import HttpServer, SseServer, StdioServer

FILE: Final = Path(__file__).with_name("gateway.schema.json")
"""The schema as it is shipped, for editors and for the command line, which need not build it."""

_REFERENCE = {"type": "string", "pattern": r"\$\{"}
_STRING_LIST = {"type": "array", "items": {"type": "string"}}
_STRING_MAP = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
_IGNORED = "Known to a host only; ignored."


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of `gateway.yaml`, which also accepts the files of hosts."""
    definitions: dict[str, Any] = {}
    root = _inlined(Settings.model_json_schema(ref_template="#/$defs/{model}"), definitions)
    server = _server(definitions)
    by_name = {"type": "object", "additionalProperties": {"$ref": "#/$defs/Server"}}
    listed = {"type": "array", "items": {"$ref": "#/$defs/NamedServer"}}
    servers: Any = {"anyOf": [by_name, listed], "description": "The servers, by name."}
    properties = {key: {} | {"description": _IGNORED} for key in sorted(HOST_ROOT_KEYS)}
    properties |= {"$schema": {"type": "string"}, **root["properties"], **dict.fromkeys(SERVER_KEYS, servers)}
    definitions["Server"] = server
    definitions["NamedServer"] = {**server, "required": ["name"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gateway.yaml",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.items())),
    }


def _inlined(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Move a model's `$defs` to ours and let every value be a reference."""
    for name, definition in schema.pop("$defs", {}).items():
        definitions[name] = _lenient(definition)
    return {key: _lenient(value) for key, value in schema.items()}


def _lenient(schema: Any) -> Any:
    """Numbers and booleans may also be written as `${VAR}`; defaults of groups say nothing; numbers pass as text."""
    if isinstance(schema, list):
        return [_lenient(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _lenient(value) for key, value in schema.items() if not (key == "default" and value in ({}, []))}
    match kept.get("type"):
        case "integer" | "number" | "boolean":
            about = {key: kept.pop(key) for key in ("description", "title", "default") if key in kept}
            return {"anyOf": [kept, _REFERENCE], **about}
        case "string" if "enum" not in kept and "const" not in kept:
            return {**kept, "type": ["string", "number", "boolean"]}
    return kept


def _server(definitions: dict[str, Any]) -> dict[str, Any]:
    """One entry: the settings of all kinds, their other spellings, and what is ignored."""
    properties: dict[str, Any] = {key: {"description": _IGNORED} for key in sorted(HOST_KEYS)}
    for model in (SseServer, HttpServer, StdioServer):
        properties |= _inlined(model.model_json_schema(ref_template="#/$defs/{model}"), definitions)["properties"]
    kinds = "Kind of server; told from command or url when left out."
    properties["type"] = {"enum": sorted(TYPES), "description": kinds}
    properties["command"] = _either(properties["command"], _STRING_LIST, "Or a list: the program and its arguments.")
    zeds = {"type": "object", "required": ["path"]}
    properties["command"] = _either(properties["command"], zeds, "Or Zed's mapping of path, args and env.")
    properties["tools"] = _either(properties["tools"], _STRING_LIST, "Or a list: what to include.")
    properties["trust"] = _either(properties["trust"], {"type": "boolean"}, "A host's boolean is ignored.")
    properties |= {alias: _alias(properties[key], key) for alias, key in RENAMED.items()}
    properties |= {alias: {**_STRING_LIST, "description": f"As tools.{key}."} for alias, key in TOOL_LISTS.items()}
    properties |= {
        "name": {"type": "string", "description": "Name of the server, in the list form."},
        "enabled": {"type": "boolean", "description": "The opposite of disabled."},
        "envFile": {"type": "string", "description": "File of NAME=value lines behind env."},
        "api_key": {"type": "string", "description": "Sent as Authorization: Bearer."},
        "bearer_token_env_var": {"type": "string", "description": "Variable that holds the bearer token."},
        "env_http_headers": {**_STRING_MAP, "description": "Header -> variable that holds its value."},
        "env_vars": {**_STRING_LIST, "description": "Variables passed on to the child."},
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _either(schema: dict[str, Any], other: dict[str, Any], said: str) -> dict[str, Any]:
    return {"anyOf": [schema, other], "description": f"{schema.get('description', '')} {said}".strip()}


def _alias(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {**schema, "description": f"As {key}."}


def shipped_text() -> str:
    """What FILE has to hold."""
    return json.dumps(json_schema(), ensure_ascii=False, indent=1) + "\n"


def write() -> None:
    """Make FILE anew; `scripts/format` does."""
    FILE.write_text(shipped_text(), encoding="utf-8")
