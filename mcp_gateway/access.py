"""Who may come in, as the configuration says: keys, signatures and tokens put together for the HTTP doors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_gateway.config import Config
from mcp_gateway.config.watch import signature
from mcp_gateway.downstream.auth import Authentication
from mcp_gateway.errors import BadConfig
from mcp_gateway.observe.reading import Ending
from mcp_gateway.security.addresses import is_loopback
from mcp_gateway.security.key_store import KEYS_FILE, KeyRing, KeyStore
from mcp_gateway.security.keys import ApiKey
from mcp_gateway.wiring import api_keys

if TYPE_CHECKING:
    from mcp_gateway.downstream.oauth_resource import JwtVerifier, ProtectedResource
    from mcp_gateway.security.jwt import TokenRules
    from mcp_gateway.security.signing import Signatures


class Access:
    """The keys of one process, and its `Authentication`. `host` is the address that is bound."""

    def __init__(self, config: Config, state: Path, environ: Mapping[str, str]) -> None:
        """Raises BadConfig: a key of the file protects nothing."""
        self._began_unix_s = time.time()
        self._auth = config.auth
        self._configured: tuple[ApiKey, ...] = api_keys(config)
        self._state = state
        self._environ = environ
        self._believes_issuer = config.auth.oauth is not None
        self._has_proxies = bool(config.server.trusted_proxies)
        self._was_locked = False
        self.host = config.server.host
        self.keys_file = state / KEYS_FILE
        self.keys_read_from = signature([self.keys_file])
        self._ring = KeyRing(KeyStore(self.keys_file), lambda: self._configured)
        self.resource, tokens = _resource_server(config)
        self.authentication = Authentication(
            self._ring,
            self.is_asked_for,
            signed_only=lambda: self._auth.signatures.required,
            signatures=self._opened_signatures(),
            tokens=tokens,
        )

    def prepare(self, config: Config) -> Callable[[], None]:
        """What takes over changed keys, once it is called. Raises BadConfig."""
        keys = api_keys(config)
        if self._is_exposed and config.auth.required is False:
            raise BadConfig(f"{config.path.name}: auth.required: others can reach the door; false takes its lock away")

        def take_over() -> None:
            self._configured, self._auth = keys, config.auth

        return take_over

    def admits(self, principal: str) -> bool:
        """Whether a principal may still come in, by its id: whose key is gone may not."""
        kind, _, name = principal.partition(":")
        try:
            return kind != "key" or self._ring.named(name) is not None
        except BadConfig:
            return False  # nobody comes in while the keys cannot be read

    def check_start(self) -> None:
        """Raises BadConfig where a proxy would let others in and nobody is asked who it is."""
        if self._has_proxies and not self.is_guarded:
            fix = "make one with: mcp-gateway keys create NAME, or leave the proxies out"
            raise BadConfig(f"server.trusted_proxies: a proxy lets others in, and no keys exist; {fix}")

    @property
    def is_guarded(self) -> bool:
        """Whether others than this machine may reach the door: somebody must be able to come in, and nobody else."""
        return self.is_asked_for() and (len(self._ring) > 0 or self._believes_issuer)

    @property
    def _is_exposed(self) -> bool:
        """Whether others than this machine reach the door, by its address or through a proxy."""
        return not is_loopback(self.host) or self._has_proxies

    def endings(self) -> list[Ending]:
        """When keys end that have an end."""
        return [
            Ending(
                at=key.expires_unix_s,
                lasts_s=None if key.created_unix_s is None else key.expires_unix_s - key.created_unix_s,
                what=f"the API key {key.name!r}",
                fix="replace it, or revoke it if it is not needed any more",
                key=key.name,
            )
            for key in self._ring
            if key.expires_unix_s is not None
        ]

    def is_asked_for(self) -> bool:
        """Whether whoever comes over HTTP has to say who it is.

        As the file says, else where a key or an issuer exists or others can reach the door. What was locked once stays
        locked until the process ends: revoking the last key must not let its owner in without one.
        """
        required = self._auth.required
        if required != "auto":
            return required
        self._was_locked = self._was_locked or len(self._ring) > 0 or self._believes_issuer or self._is_exposed
        return self._was_locked

    def _opened_signatures(self) -> Callable[[], Signatures]:
        """Opened for the first signed request: what they need takes a fifth of a second to import."""

        @cache
        def opened() -> Signatures:
            from mcp_gateway.security.signing import Signatures
            from mcp_gateway.security.signing_secrets import SigningSecrets
            from mcp_gateway.security.vault import Vault
            from mcp_gateway.security.vault_file import SIGNING

            secrets = SigningSecrets(Vault(self._state, self._environ, SIGNING), self._ring)
            return Signatures(secrets, self._auth.signatures.skew, since_unix_s=self._began_unix_s)

        return opened


def _resource_server(config: Config) -> tuple[ProtectedResource | None, JwtVerifier | None]:
    """Imported only where there is an issuer."""
    oauth = config.auth.oauth
    if oauth is None:
        return None, None
    from mcp_gateway.downstream.issuer import Issuer
    from mcp_gateway.downstream.oauth_resource import JwtVerifier, ProtectedResource
    from mcp_gateway.security.jwt import TokenRules

    rules: TokenRules = TokenRules(oauth.issuer, oauth.audience, oauth.scopes)
    return ProtectedResource(rules, config.server.base_path), JwtVerifier(rules, Issuer(oauth.issuer, oauth.jwks_url))
