"""Who is asking."""

from __future__ import annotations

from mcp_gateway.security.principal import LOCAL, SCOPES, Principal


def test_the_person_at_this_machine_may_do_everything() -> None:
    assert LOCAL.scopes == SCOPES


def test_a_principal_may_do_nothing_unless_it_was_given() -> None:
    assert Principal("guest").scopes == frozenset()
