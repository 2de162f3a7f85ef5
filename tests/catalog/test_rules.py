"""The user's wishes as values."""

from __future__ import annotations

import pytest
from mcp_gateway.catalog import ExposeRules, Prefix, SchemaCompat, ServerRules


def test_a_tiny_name_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        ExposeRules(max_name=15)


def test_schemas_are_rewritten_unless_names_pass_through() -> None:
    assert ExposeRules().rewrites_schemas
    assert not ExposeRules(schema_compat=SchemaCompat.OFF).rewrites_schemas
    assert not ExposeRules(prefix=Prefix.NEVER).rewrites_schemas


def test_an_excluded_tool_is_excluded_even_when_included() -> None:
    assert not ServerRules(include=("a*",), exclude=("ab",)).admits("ab")
    assert ServerRules(include=("a*",), exclude=("ab",)).admits("ac")
