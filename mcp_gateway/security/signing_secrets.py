"""The secrets that clients sign with: sealed in a store of their own, each under the name of its key."""

from __future__ import annotations

import secrets
from typing import Final

from mcp_gateway.errors import UnknownName
from mcp_gateway.security.key_store import KeyRing
from mcp_gateway.security.signing import SigningKey
from mcp_gateway.security.vault import Vault

PREFIX: Final = "mgs_"
"""Tells a signing secret of ours from a key, for people and for secret scanners (our choice)."""


def new_signing_secret() -> str:
    """A secret that nobody can guess: 256 bits. Its UTF-8 bytes are the key of the HMAC."""
    return PREFIX + secrets.token_urlsafe(32)


class SigningSecrets:
    """Gives the secret of a key that may come in, by the key's name."""

    def __init__(self, vault: Vault, ring: KeyRing) -> None:
        self._vault = vault
        self._ring = ring

    def __call__(self, key_id: str) -> SigningKey | None:
        """None when the key is gone, has ended, or does not sign.

        Raises:
            BadConfig, SecretKeyRefused, SecretDamaged: the keys or the secrets cannot be read.
        """
        if self._ring.named(key_id) is None:
            return None
        try:
            return SigningKey(key_id, self._vault.get_bytes(key_id))
        except UnknownName:
            return None
