"""Callers with keys: the owner with all scopes, and others with less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx2
from mcp_gateway.security.keys import hashed, new_key

from tests.interaction.house import House

_GRANTS: Mapping[str, Mapping[str, Any]] = {
    "owner": {"scopes": ["read", "call", "ask", "execute", "admin"]},
    "reader": {"scopes": ["read"]},
    "caller": {"scopes": ["call"]},
    "asker": {"scopes": ["read", "call", "ask"]},
    "hasty": {"scopes": ["read", "call", "ask"], "rate": "1/m"},
    "stranger": {"scopes": ["read", "call", "ask"], "servers": {"allow": ["other"]}},
    "echoer": {"scopes": ["read", "call", "ask"], "tools": {"allow": ["up__echo"]}},
    "strange-admin": {"scopes": ["read", "admin"], "servers": {"allow": ["other"]}},
}
_KEYS: Final = {name: new_key() for name in _GRANTS}

AUTH: Final = {"keys": [{"name": name, "hash": hashed(_KEYS[name]), **_GRANTS[name]} for name in _GRANTS]}
"""The `auth` section under which they are known."""


def as_person(name: str) -> dict[str, str]:
    """Headers that say so."""
    return {"Authorization": f"Bearer {_KEYS[name]}"}


def client_of(home: House) -> httpx2.AsyncClient:
    """The owner at the REST door, unless a request's headers say otherwise."""
    return httpx2.AsyncClient(base_url=home.origin, headers=as_person("owner"), timeout=10)
