"""The `WWW-Authenticate` header of a refusal: the parameters of its Bearer challenge.

Text from an upstream enters, checked text leaves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_BEARER = re.compile(r"(?:^|,)\s*bearer(?:\s+|$)", re.IGNORECASE)
_PARAMETER = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
"""RFC 6749, section 3.3."""


def bearer(challenge: str | None) -> Mapping[str, str]:
    """The parameters of the first Bearer challenge (RFC 6750, section 3), none when there is no such challenge."""
    start = _BEARER.search(challenge or "")
    if challenge is None or start is None:
        return {}
    found: dict[str, str] = {}
    at = start.end()
    while parameter := _PARAMETER.match(challenge, at):
        name, quoted, plain = parameter.groups()
        found.setdefault(name.lower(), plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        at = parameter.end()
    return found


def wanted_scope(challenge: str | None) -> str | None:
    """The scope that the upstream asks for; None when it names none that is well-formed."""
    scope = bearer(challenge).get("scope", "")
    return scope if _SCOPE.fullmatch(scope) else None
