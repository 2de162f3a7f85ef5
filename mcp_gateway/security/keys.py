"""API keys: what one is, how it is told from a guess, and whom it stands for.

A key is shown once, when it is made; only its SHA-256 is kept. With 256 random bits in each key a plain hash is enough:
there is nothing to guess, so nothing has to be slow (NIST SP 800-63B, section 5.1.1.2, asks for slow hashes of
secrets that people choose).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mcp_gateway.security.principal import EVERYTHING, Allowance, Grant, Principal

PREFIX: Final = "mgw_"
"""Tells a key of ours from other credentials, for people and for secret scanners (our choice)."""

DEFAULT_SCOPES: Final = frozenset({"read", "call"})

WEAK: Final = ("", "admin", "changeme", "default", "key", "password", "secret", "test", "token", "your_api_key")
"""What examples and defaults hold; a key that is one of these protects nothing."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without the key: `hash` is `sha256:` and 64 hexadecimal digits. Times are Unix seconds, UTC."""

    name: str
    hash: str
    scopes: frozenset[str] = DEFAULT_SCOPES
    grant: Grant = EVERYTHING
    allowance: Allowance = field(default_factory=Allowance)
    created_unix_s: float | None = None
    expires_unix_s: float | None = None

    @property
    def principal(self) -> Principal:
        return Principal(principal_id(self.name), self.scopes, self.grant, self.allowance)

    def expired(self, now_unix_s: float) -> bool:
        return self.expires_unix_s is not None and now_unix_s >= self.expires_unix_s

    @property
    def weak(self) -> bool:
        """Whether it is the hash of a word that everybody tries first."""
        return self.hash in _WEAK_HASHES


def principal_id(name: str) -> str:
    """Who comes with the key of this name."""
    return f"key:{name}"


def new_key() -> str:
    """A key that nobody can guess: 256 bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hashed(key: str) -> str:
    """How a key is kept."""
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


_WEAK_HASHES: Final = frozenset(map(hashed, WEAK))


class KeyTable:
    """Keys by their hashes. Looking one up takes the same time whichever character of a guess is wrong."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        keys = tuple(keys)
        self._by_hash = {key.hash: key for key in keys}
        self._by_name = {key.name: key for key in keys}

    def __len__(self) -> int:
        return len(self._by_hash)

    def __iter__(self) -> Iterator[ApiKey]:
        return iter(self._by_name.values())

    def find(self, presented: str) -> ApiKey | None:
        """The key that was presented, None when there is none or its time is over."""
        return _living(self._by_hash.get(hashed(presented)))

    def named(self, name: str) -> ApiKey | None:
        """The key of a name, None when there is none or its time is over."""
        return _living(self._by_name.get(name))


def _living(key: ApiKey | None) -> ApiKey | None:
    return None if key is None or key.expired(time.time()) else key
