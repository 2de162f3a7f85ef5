"""The fields of definitions whose type clients insist on.

An encoded field enters, yes or no leaves. Typed clients refuse a whole listing over
one wrong field, `null` included; fields that are not named here are nobody's business.
Shapes: specification 2026-07-28, schema (Tool, Prompt, Resource, ResourceTemplate).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from mcp_gateway.catalog.route import Kind
from mcp_gateway.wire import Raw

Shape = msgspec.json.Decoder[Any]


class _Icon(Struct, rename="camel"):
    src: str
    mime_type: str | UnsetType = UNSET
    sizes: list[str] | UnsetType = UNSET


class _Hints(Struct, rename="camel"):
    title: str | UnsetType = UNSET
    read_only_hint: bool | UnsetType = UNSET
    destructive_hint: bool | UnsetType = UNSET
    idempotent_hint: bool | UnsetType = UNSET
    open_world_hint: bool | UnsetType = UNSET


class _Annotations(Struct, rename="camel"):
    audience: list[str] | UnsetType = UNSET
    priority: float | UnsetType = UNSET
    last_modified: str | UnsetType = UNSET


class _Argument(Struct):
    name: str
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    required: bool | UnsetType = UNSET


def _shape(type_: Any) -> Shape:
    return msgspec.json.Decoder(type_)


_TEXT: Final = _shape(str)
_COMMON: Final = {"title": _TEXT, "icons": _shape(list[_Icon]), "_meta": _shape(dict[str, Raw])}
_RESOURCE: Final = {**_COMMON, "mimeType": _TEXT, "annotations": _shape(_Annotations)}
OPTIONAL: Final[Mapping[Kind, Mapping[str, Shape]]] = {
    Kind.TOOL: {**_COMMON, "annotations": _shape(_Hints), "outputSchema": _shape(dict[str, Raw])},
    Kind.PROMPT: _COMMON,
    Kind.RESOURCE: {**_RESOURCE, "size": _shape(float)},
    Kind.TEMPLATE: _RESOURCE,
}
"""Fields that go alone when their type is wrong; the definition stays."""

ARGUMENTS: Final = _shape(list[_Argument])
"""A prompt's arguments: without them it could not be called, so wrong ones take the prompt with them."""


def fits(shape: Shape, raw: Raw) -> bool:
    try:
        shape.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
