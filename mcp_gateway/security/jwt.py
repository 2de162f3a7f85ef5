"""Access tokens of an authorization server: RFC 9068 and its relatives, signed by a key of a published set (RFC 7517).

A token and a key enter, a principal leaves. Nothing here fetches: the set of keys comes as bytes. Keys that a token
itself brings or points to (`jwk`, `jku`, `x5u`) are never looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import jwt

from mcp_gateway.security.principal import SCOPES, Principal

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
"""Asymmetric ones alone: a public key is no secret, and `none` is no signature (RFC 8725, sections 2.1 and 3.1)."""
LEEWAY_S: Final = 30.0
"""How far the issuer's clock may be from ours; tokens live for minutes (our choice)."""
MAX_TOKEN_BYTES: Final = 16 * 1024
"""Real ones are below 4 kB (our choice)."""
MAX_KEYS: Final = 100
"""Of one set; issuers publish two or three (our choice)."""

_TYPES: Final = frozenset({None, "jwt", "at+jwt", "application/at+jwt"})
"""RFC 9068 asks for `at+jwt`; most issuers write `JWT`, some nothing. Tokens for other ends name another type."""
_MAX_SUBJECT: Final = 255
"""OpenID Connect Core, section 2."""
_FITTING: Final[Mapping[tuple[str, str | None], tuple[str, ...]]] = {
    ("RSA", None): ("RS256", "PS256"),
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""Type and curve of a key -> what it may sign with, unless it says so itself."""


PublicKey = jwt.PyJWK


class BadToken(Exception):
    """A token that is not accepted; the text is for the log alone."""


class BadKeySet(Exception):
    """What should be a set of keys is none."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must say. `scopes` maps the issuer's scopes to ours; empty: the same names."""

    issuer: str
    audience: str
    scopes: Mapping[str, str] = field(default_factory=dict)

    def ours(self, granted: Iterable[str]) -> frozenset[str]:
        """What scopes of the issuer let a caller do here."""
        return frozenset(self.scopes.get(scope, "") if self.scopes else scope for scope in granted) & SCOPES

    def theirs(self, scope: str) -> tuple[str, ...]:
        """The issuer's names for one of our scopes, to ask for."""
        return tuple(their for their, our in self.scopes.items() if our == scope) if self.scopes else (scope,)


@dataclass(frozen=True, slots=True)
class KeyName:
    """What a token says of the key that signed it. Not yet to be believed."""

    id: str | None
    algorithm: str


@dataclass(frozen=True, slots=True)
class KeySet:
    """Public keys by name and algorithm."""

    keys: Mapping[tuple[str | None, str], PublicKey] = field(default_factory=dict)

    def find(self, name: KeyName) -> PublicKey | None:
        """The key; where the token names none, the only one that could have signed it."""
        if name.id is not None:
            return self.keys.get((name.id, name.algorithm))
        fitting = [key for (_, algorithm), key in self.keys.items() if algorithm == name.algorithm]
        return fitting[0] if len(fitting) == 1 else None


def key_set(body: bytes) -> KeySet:
    """The usable keys of a JWK set; others in it are left out (RFC 7517, section 5). Raises BadKeySet."""
    try:
        entries = json.loads(body)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        entries = None
    if not isinstance(entries, list):
        raise BadKeySet("it is not a JWK set")
    if len(entries) > MAX_KEYS:
        raise BadKeySet(f"it holds more than {MAX_KEYS} keys")
    return KeySet({(entry.get("kid"), key.algorithm_name): key for entry in entries for key in _readings(entry)})


def key_name(token: str) -> KeyName:
    """What the header says. Raises BadToken."""
    if len(token) > MAX_TOKEN_BYTES:
        raise BadToken("it is too long")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise BadToken(f"its header cannot be read ({type(error).__name__})") from None
    type_, algorithm, key_id = header.get("typ"), header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise BadToken("its algorithm is not accepted")
    if not isinstance(type_, str | None) or (type_ and type_.lower()) not in _TYPES:
        raise BadToken("its type is not that of an access token")
    if "crit" in header or "b64" in header:
        raise BadToken("its header asks for what is not supported")
    return KeyName(key_id, algorithm)


def principal_of(token: str, key: PublicKey, rules: TokenRules) -> Principal:
    """Whoever the token was given to. Raises BadToken."""
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=rules.issuer,
            audience=rules.audience,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise BadToken(f"{type(error).__name__}") from None
    return Principal(f"oauth:{_subject(claims['sub'])}", rules.ours(_granted(claims)))


def _subject(subject: str) -> str:
    """The subject as it is, but for characters that a log or a listing could misread. Stable, and no two are alike."""
    if not 0 < len(subject) <= _MAX_SUBJECT:
        raise BadToken("its subject is empty or too long")
    try:
        return quote(subject, safe="@|:+=~!$")
    except UnicodeEncodeError:
        raise BadToken("its subject is not text") from None


def _granted(claims: Mapping[str, Any]) -> list[str]:
    """`scope` (RFC 9068, section 2.2.3), or `scp`, as some issuers call it; words in one text, or a list."""
    value = claims.get("scope", claims.get("scp", ""))
    words = value.split() if isinstance(value, str) else value
    return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []


def _readings(entry: Any) -> Iterable[PublicKey]:
    """One key for each algorithm that it may be used with; none for private, symmetric, odd and unusable ones."""
    if not isinstance(entry, dict):
        return
    texts = (entry.get(name, "") for name in ("kid", "kty", "crv", "alg", "use", "n", "e", "x", "y"))
    if not all(isinstance(text, str) for text in texts) or "d" in entry or entry.get("use", "sig") != "sig":
        return
    for algorithm in _FITTING.get((entry.get("kty", ""), entry.get("crv")), ()):
        if entry.get("alg", algorithm) == algorithm:
            try:
                yield PublicKey(dict(entry), algorithm)
            except (jwt.PyJWTError, ValueError):
                return
