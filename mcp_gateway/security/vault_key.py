"""One key of the vault: read from text, told apart by its id, and what it seals and opens.

A text of 32 bytes in base64 enters, a `Key` leaves. Where keys are kept is not known here.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass, field

_TEXT = re.compile(r"[A-Za-z0-9_-]{43}=")
"""32 bytes in URL-safe base64, as Fernet has its keys (https://github.com/fernet/spec/blob/master/Spec.md)."""

_URL_SAFE = str.maketrans("+/", "-_")

_ID_CHARS = 12
"""48 bits of a hash tell a handful of keys apart and say nothing of the key. Our choice."""


class NotAKey(ValueError):
    """The text is no key; the message never shows it."""


class Unfit(Exception):
    """The token was not made with this key, or was changed since."""


@dataclass(frozen=True, slots=True)
class Key:
    """A Fernet key. `id` may be written down beside what the key has sealed."""

    text: str = field(repr=False)

    @property
    def id(self) -> str:
        return hashlib.sha256(b"mcp-gateway vault key " + self.text.encode()).hexdigest()[:_ID_CHARS]

    def seal(self, content: bytes) -> str:
        """The content as a Fernet token: AES-128-CBC, then HMAC-SHA256 over all of it."""
        from cryptography.fernet import Fernet  # here: it costs 30 ms (2026-11-24), and most starts open no secret

        return Fernet(self.text).encrypt(content).decode()

    def open(self, token: str) -> bytes:
        """The content of a token. Raises Unfit."""
        from cryptography.fernet import Fernet, InvalidToken

        try:
            return Fernet(self.text).decrypt(token.encode())  # as text it would have to be ASCII
        except InvalidToken:
            raise Unfit from None


def new_key() -> Key:
    return Key(base64.urlsafe_b64encode(os.urandom(32)).decode())


def read_keys(text: str) -> tuple[Key, ...]:
    """The keys in a text, separated by commas or lines; the first one seals, all of them open.

    Both alphabets of base64 are read, so `openssl rand -base64 32` makes a key too.

    Raises:
        NotAKey: one of them is not 32 bytes in base64.
    """
    parts = [part.translate(_URL_SAFE) for part in re.split(r"[\s,]+", text) if part]
    if not all(_TEXT.fullmatch(part) for part in parts):
        raise NotAKey("not a key: 32 random bytes in base64 are expected (44 characters)")
    return tuple(map(Key, parts))


def write_keys(keys: tuple[Key, ...]) -> str:
    """The text that `read_keys` reads."""
    return ",".join(key.text for key in keys)
