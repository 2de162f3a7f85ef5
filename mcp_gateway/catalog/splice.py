"""URIs and names inside messages: changed where they differ, untouched elsewhere.

Encoded results and params enter and leave. Only the objects on the way to a changed
URI are put together anew; every other value keeps its bytes. Texts that happen to
quote a URI are not searched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mcp_gateway.catalog.route import Kind, Route
from mcp_gateway.wire import Malformed, Raw, RawParams, encode, fields, loads

Rewrite = Callable[[str], str]
_Change = Callable[[Raw, Rewrite], Raw]

_decode_list = msgspec.json.Decoder(list[Raw]).decode


def rewrite_uris(method: str, body: Raw, rewrite: Rewrite) -> Raw:
    """Pass every URI in an upstream's result (or in the params of its question) through `rewrite`.

    `method` is the request the result answers, or `sampling/createMessage` and
    `notifications/resources/updated` for what an upstream sends on its own. Bodies
    without URIs, and ones that are not shaped as the method wants, come back as they are.
    """
    change = _CHANGES.get(method)
    return body if change is None or b'"uri"' not in bytes(body) else change(body, rewrite)


def result_uris(method: str, body: Raw) -> tuple[str, ...]:
    """The URIs in a result, in order, for `SeenUris`."""
    found: list[str] = []

    def note(uri: str) -> str:
        found.append(uri)
        return uri

    rewrite_uris(method, body, note)
    return tuple(found)


def upstream_params(method: str, params: RawParams, route: Route) -> RawParams:
    """The params with the upstream's own name or URI in place of the exposed one; a new mapping."""
    if method == "completion/complete":
        reference = dict(fields(encode(params.get("ref", {}))))
        reference["name" if route.kind is Kind.PROMPT else "uri"] = Raw(encode(route.name))
        return {**params, "ref": reference}
    field = "name" if route.kind in {Kind.TOOL, Kind.PROMPT} else "uri"
    return {**params, field: route.name}


def rewrite_tool_meta(meta: Raw, rewrite: Rewrite) -> Raw:
    """The URI of a tool's user interface (MCP Apps: `_meta.ui.resourceUri`, formerly `_meta["ui/resourceUri"]`)."""
    return _in_fields(meta, {"ui": _member("resourceUri", _uri), "ui/resourceUri": _uri}, rewrite)


def _uri(raw: Raw, rewrite: Rewrite) -> Raw:
    uri = loads(raw)
    if not isinstance(uri, str):
        return raw
    changed = rewrite(uri)
    return raw if changed == uri else Raw(encode(changed))


def _in_fields(raw: Raw, changes: Mapping[str, _Change], rewrite: Rewrite) -> Raw:
    """Apply changes to members of an object; the very same Raw when none of them did anything."""
    try:
        found = fields(raw)
    except Malformed:
        return raw
    changed = {name: change(found[name], rewrite) for name, change in changes.items() if name in found}
    if all(value is found[name] for name, value in changed.items()):
        return raw
    return Raw(encode(found | changed))


def _member(name: str, change: _Change) -> _Change:
    return lambda raw, rewrite: _in_fields(raw, {name: change}, rewrite)


def _each(change: _Change) -> _Change:
    """Apply a change to every member of a list, or to a lone value in its place."""

    def change_all(raw: Raw, rewrite: Rewrite) -> Raw:
        try:
            items = _decode_list(raw)
        except msgspec.DecodeError:
            return change(raw, rewrite)
        changed = [change(item, rewrite) for item in items]
        same = all(new is old for new, old in zip(changed, items, strict=True))
        return raw if same else Raw(encode(changed))

    return change_all


def _block(raw: Raw, rewrite: Rewrite) -> Raw:
    """A content block: a resource link has a `uri`, an embedded resource has one inside, a tool result has blocks."""
    return _in_fields(raw, {"uri": _uri, "resource": _member("uri", _uri), "content": _each(_block)}, rewrite)


def _every_question(raw: Raw, rewrite: Rewrite) -> Raw:
    """`inputRequests` of an input_required result: key -> {method, params} (2026-07-28, basic/patterns/mrtr)."""
    try:
        keys = fields(raw)
    except Malformed:
        return raw
    return _in_fields(raw, dict.fromkeys(keys, _question), rewrite)


def _question(raw: Raw, rewrite: Rewrite) -> Raw:
    try:
        method: Any = loads(fields(raw).get("method", Raw(b"null")))
    except Malformed:
        return raw
    return _in_fields(raw, {"params": _messages}, rewrite) if method == "sampling/createMessage" else raw


_blocks: _Change = _each(_block)
_messages: _Change = _member("messages", _each(_member("content", _blocks)))


def _prompt(raw: Raw, rewrite: Rewrite) -> Raw:
    changes = {"messages": _each(_member("content", _blocks)), "inputRequests": _every_question}
    return _in_fields(raw, changes, rewrite)


_CHANGES: Mapping[str, _Change] = {
    "resources/read": lambda raw, rewrite: _in_fields(
        raw, {"contents": _each(_member("uri", _uri)), "inputRequests": _every_question}, rewrite
    ),
    "tools/call": lambda raw, rewrite: _in_fields(raw, {"content": _blocks, "inputRequests": _every_question}, rewrite),
    "prompts/get": _prompt,
    "sampling/createMessage": _messages,
    "notifications/resources/updated": _member("uri", _uri),
}
