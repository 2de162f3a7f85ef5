"""The challenge of a refusal, as servers write it and as they should not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.upstream.oauth.challenge import bearer, wanted_scope


@pytest.mark.parametrize(
    ("challenge", "parameters"),
    [
        (None, {}),
        ("", {}),
        ("Bearer", {}),
        ('Basic realm="x"', {}),
        ('Bearer error="invalid_token", scope="a b"', {"error": "invalid_token", "scope": "a b"}),
        ("bearer error=invalid_token,scope=a", {"error": "invalid_token", "scope": "a"}),
        ('Basic realm="x, y", Bearer scope="a"', {"scope": "a"}),
        ('Bearer realm="say \\"hi\\""', {"realm": 'say "hi"'}),
        ('Bearer scope="a", scope="b"', {"scope": "a"}),
        ('Bearer x_scope="b"', {"x_scope": "b"}),
    ],
)
def test_the_parameters_of_the_bearer_challenge_are_read(challenge: str | None, parameters: Mapping[str, str]) -> None:
    assert bearer(challenge) == parameters


@pytest.mark.parametrize(
    ("challenge", "scope"),
    [
        ('Bearer scope="files:read files:write"', "files:read files:write"),
        ('Bearer error="invalid_token"', None),
        ('Bearer scope=""', None),
        ('Bearer scope="a  b"', None),
        ('Bearer scope="a\x1b[31m"', None),
    ],
)
def test_only_a_well_formed_scope_is_asked_for(challenge: str, scope: str | None) -> None:
    assert wanted_scope(challenge) == scope


@given(st.text(alphabet='Bearer scope=",\\ ', max_size=60))
def test_any_text_is_read_in_peace(challenge: str) -> None:
    assert all(isinstance(value, str) for value in bearer(challenge).values())
