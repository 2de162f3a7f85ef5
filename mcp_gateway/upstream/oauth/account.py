"""What is kept of one login: who issued the tokens, the tokens, and the client that they belong to.

Answers of a token endpoint enter, plain data for the store and header values leave. Nothing here waits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

EARLY_S: Final = 60.0
EARLY_PART: Final = 0.1
"""A token is renewed so long before its end, but in no more than the last tenth of its life (our choice)."""

SKEW_S: Final = 2.0
"""A token counts as ended so long before it is: the request still has to arrive (our choice)."""

_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
"""What a header can carry (RFC 6750, section 2.1, allows less; real servers send more). The length is our choice."""


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """How an operator wants the login of one server to be. No `client_id`: the client registers itself."""

    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    issuer: str | None = None
    scopes: tuple[str, ...] = ()
    redirect_port: int = 0
    client_credentials: bool = False
    private_networks: tuple[str, ...] = ()
    """Where its authorization server may be, besides the public Internet and the hosts that the operator named."""


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Ourselves, as an authorization server knows us; `method` is of RFC 7591, `token_endpoint_auth_method`."""

    id: str
    secret: str | None = field(default=None, repr=False)
    method: str = "none"


@dataclass(frozen=True, slots=True)
class Registration:
    """A client that registered itself with one issuer, for a callback at one port."""

    client: OAuthClient
    redirect_port: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token endpoint gave. `lasts_s` is None when it does not say."""

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    lasts_s: float | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One login at one issuer, for one resource. Moments are epoch seconds.

    `login` tells one login from the next; renewed tokens are of the same. `client` has its secret only where it
    registered itself: a configured one stays in the configuration.
    """

    login: str
    resource: str
    issuer: str
    token_endpoint: str
    client: OAuthClient
    tokens: Tokens
    obtained_at: float

    @property
    def header(self) -> str:
        """The value of `Authorization`."""
        return f"Bearer {self.tokens.access}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen anywhere."""
        return tuple(filter(None, (self.tokens.access, self.tokens.refresh, self.client.secret)))

    @property
    def ends_at(self) -> float | None:
        return None if self.tokens.lasts_s is None else self.obtained_at + self.tokens.lasts_s

    def has_ended(self, now: float) -> bool:
        return self.ends_at is not None and now >= self.ends_at - SKEW_S

    def is_due(self, now: float) -> bool:
        """Whether it is time to renew the token, while it still works."""
        if self.ends_at is None or self.tokens.lasts_s is None:
            return False
        return now >= self.ends_at - min(EARLY_S, self.tokens.lasts_s * EARLY_PART) - SKEW_S

    def renewed(self, tokens: Tokens, now: float) -> Account:
        """With new tokens; a refresh token or scope that they lack stays the old one (RFC 6749, sections 5.1, 6)."""
        kept = replace(tokens, refresh=tokens.refresh or self.tokens.refresh, scope=tokens.scope or self.tokens.scope)
        return replace(self, tokens=kept, obtained_at=now)

    def unrenewable(self) -> Account:
        """Without the refresh token, which its issuer does not take any more."""
        return replace(self, tokens=replace(self.tokens, refresh=None))


def is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None
