"""What a client may be asked, by what it declared."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.capabilities import check_askable, lacking
from mcp_gateway.errors import RpcError
from mcp_gateway.wire import Raw

URL = {"mode": Raw(b'"url"')}
CASES: list[tuple[str, dict[str, Any], Any, str | None]] = [
    ("roots/list", {}, {"roots": {}}, None),
    ("roots/list", {}, {"roots": {"listChanged": True}}, None),
    ("roots/list", {}, {}, "roots"),
    ("roots/list", {}, {"roots": None}, "roots"),
    ("roots/list", {}, ["roots"], "roots"),
    ("sampling/createMessage", {}, {"sampling": {}}, None),
    ("sampling/createMessage", {"tools": []}, {"sampling": {}}, "sampling.tools"),
    ("sampling/createMessage", {"toolChoice": {}}, {"sampling": {"context": {}}}, "sampling.tools"),
    ("sampling/createMessage", {"tools": []}, {"sampling": {"tools": {}}}, None),
    ("elicitation/create", {}, {}, "elicitation"),
    ("elicitation/create", {}, {"elicitation": {}}, None),
    ("elicitation/create", {"mode": "form"}, {"elicitation": {"form": {}}}, None),
    ("elicitation/create", {"mode": "form"}, {"elicitation": {"url": {}}}, "elicitation.form"),
    ("elicitation/create", URL, {"elicitation": {}}, "elicitation.url"),
    ("elicitation/create", URL, {"elicitation": {"form": {}}}, "elicitation.url"),
    ("elicitation/create", URL, {"elicitation": {"url": {}}}, None),
    ("elicitation/create", {"mode": Raw(b"{")}, {"elicitation": {}}, None),
    ("vendor/ask", {}, {}, None),
]


@pytest.mark.parametrize(("method", "params", "declared", "missing"), CASES)
def test_a_question_needs_what_the_client_declared(
    method: str, params: dict[str, Any], declared: Any, missing: str | None
) -> None:
    assert lacking(method, params, declared) == missing


def test_a_question_that_may_not_be_asked_is_declined_with_the_reason() -> None:
    with pytest.raises(RpcError, match="did not declare roots"):
        check_askable("roots/list", {}, {})
    check_askable("roots/list", {}, {"roots": {}})
