"""Texts that go out and come back: nobody can read, change or make one, and each opens only for what it is bound to.

Bytes and what they are bound to enter, a text leaves; the text and the same binding bring the bytes back. The key is
of this process and is kept nowhere, so no text outlives it.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

NONCE_BYTES: Final = 12
"""RFC 8439, section 2.8. Random ones are safe for some 2^32 texts under one key."""

MAX_CHARS: Final = 1024
"""Longer texts are none of ours (our choice: they have some 100 characters)."""


class Seal:
    """ChaCha20-Poly1305 (RFC 8439) under a key of its own."""

    def close(self, content: bytes, bound_to: bytes) -> str:
        """The text that opens only where `bound_to` is the same."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, content, bound_to)).decode()

    def open(self, text: str, bound_to: bytes) -> bytes | None:
        """What was sealed; None when this text was not sealed here, or for something else."""
        from cryptography.exceptions import InvalidTag

        if len(text) > MAX_CHARS:
            return None
        try:
            sealed = urlsafe_b64decode(text.encode())
            if urlsafe_b64encode(sealed).decode() != text:
                return None  # the decoder overlooks what follows the padding, and what is outside its alphabet
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
        except (ValueError, InvalidTag):
            return None

    @cached_property
    def _cipher(self) -> ChaCha20Poly1305:
        # here: it costs 30 ms (2026-11-24), and few processes seal anything
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        return ChaCha20Poly1305(ChaCha20Poly1305.generate_key())
