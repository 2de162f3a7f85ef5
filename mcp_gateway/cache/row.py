"""A row of the disk tier: a JSON array with a seal, and the secret of the seal.

An entry enters, a row leaves, and back; a row that was not written with our secret,
or was changed since, or belongs under another name, is refused. Never pickle: a cache
file that somebody else could write must not be able to run code.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

from mcp_gateway.cache.base import Entry

SECRET_BYTES = 32

ROW_FIELDS = 8
EXPIRES_AT = "json_extract(value, '$[0]')"
STORED_AT = "json_extract(value, '$[1]')"
SERVER = "json_extract(value, '$[3]')"
"""SQL for what the table needs to see inside a row."""


class Forged(ValueError):
    """The row does not carry our seal."""


def encode(row: list[Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def decode(stored: Any) -> list[Any]:
    """The array in a row's text. Raises Forged."""
    if not isinstance(stored, str):
        raise Forged("not text")
    try:
        row = json.loads(stored)
    except (ValueError, RecursionError) as wrong:
        raise Forged("not JSON") from wrong
    if not isinstance(row, list) or len(row) != ROW_FIELDS:
        raise Forged("not a row")
    return row


def seal(secret: bytes, key: str, entry: Entry) -> list[Any]:
    """`[expires_at, stored_at, fresh_until, server, generation, form, text, seal]`; see the paths below."""
    return [*_head(entry), *_to_text(entry.value), _mac(secret, key, entry)]


def unseal(secret: bytes, key: str, row: list[Any]) -> Entry:
    """The entry of a row under this key. Raises Forged."""
    expires_at, stored_at, fresh_until, server, generation, form, text, mac = row
    try:
        value = base64.b64decode(text, validate=True) if form == "base64" else text.encode()
        entry = Entry(value, stored_at, fresh_until, expires_at, server, generation)
        genuine = hmac.compare_digest(_mac(secret, key, entry), mac)
    except (ValueError, TypeError, AttributeError) as wrong:
        raise Forged("not a row") from wrong
    if not genuine:
        raise Forged("the seal does not fit")
    return entry


def load_secret(path: Path) -> bytes:
    """The secret beside the cache file; made on first use, private to the owner.

    A file of the wrong length is replaced: the rows sealed with it are lost, and misses.

    Raises:
        OSError: the file can be neither read nor made.
    """
    for _ in range(2):
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            secret = b""
        if len(secret) == SECRET_BYTES:
            return secret
        if secret:
            path.unlink(missing_ok=True)
        _create(path)
    return path.read_bytes()


def _create(path: Path) -> None:
    """Write a new secret, then link it in place: of two processes one wins, and nobody reads half of it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink(missing_ok=True)


def _head(entry: Entry) -> list[Any]:
    return [entry.expires_at, entry.stored_at, entry.fresh_until, entry.server, entry.generation]


def _mac(secret: bytes, key: str, entry: Entry) -> str:
    said = json.dumps([key, *_head(entry)]).encode() + b"\n" + entry.value
    return hmac.digest(secret, said, "sha256").hex()


def _to_text(value: bytes) -> tuple[str, str]:
    try:
        return "text", value.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(value).decode()
