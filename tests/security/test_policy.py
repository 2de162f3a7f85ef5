"""Scopes: which one a method needs, and that a caller without it learns nothing."""

from __future__ import annotations

import pytest
from mcp_gateway.errors import Forbidden
from mcp_gateway.security.policy import allows, check_admin, check_scope, check_whole, needed_scope
from mcp_gateway.security.principal import LOCAL, SCOPES, Grant, Principal


@pytest.mark.parametrize(
    ("method", "tool", "scope"),
    [
        ("initialize", None, "read"),
        ("server/discover", None, "read"),
        ("subscriptions/listen", None, "read"),
        ("tools/list", None, "read"),
        ("prompts/list", None, "read"),
        ("prompts/get", "x", "read"),
        ("resources/read", None, "read"),
        ("resources/templates/list", None, "read"),
        ("completion/complete", None, "read"),
        ("logging/setLevel", None, "read"),
        ("tools/call", "time__now", "call"),
        ("tools/call", "ask", "ask"),
        ("tools/call", "execute", "execute"),
        ("tools/call", ["ask"], "call"),
        ("vendor/anything", None, "call"),
        ("resources/delete", None, "call"),
        ("notifications/roots/list_changed", None, "read"),
        ("notifications/vendor/anything", None, "call"),
    ],
)
def test_each_method_needs_one_scope(method: str, tool: object, scope: str) -> None:
    assert needed_scope(method, tool) == scope
    check_scope(Principal("one", frozenset({scope})), method, tool)
    assert tool is not None or allows(Principal("one", frozenset({scope})), method)
    assert tool is not None or not allows(Principal("other", LOCAL.scopes - {scope}), method)
    with pytest.raises(Forbidden, match=repr(scope)):
        check_scope(Principal("other", LOCAL.scopes - {scope}), method, tool)


@pytest.mark.parametrize(
    "principal",
    [
        Principal("key:ci", SCOPES, Grant(servers=("a",))),
        Principal("key:ci", SCOPES, Grant(deny_tools=("x",))),
        Principal("key:ci", SCOPES, Grant(profile="p")),
    ],
)
def test_what_names_every_server_is_for_those_who_may_see_every_server(principal: Principal) -> None:
    check_whole(LOCAL)
    check_whole(Principal("key:prometheus", frozenset({"read"}), Grant(mode="all")))
    check_whole(Principal("key:operator", frozenset({"admin"})))
    with pytest.raises(Forbidden, match="for all servers"):
        check_whole(principal)


def test_the_gateway_itself_is_changed_by_admins_only() -> None:
    check_admin(LOCAL)
    with pytest.raises(Forbidden, match="'admin'"):
        check_admin(Principal("key:ci", frozenset({"read", "call"})))
