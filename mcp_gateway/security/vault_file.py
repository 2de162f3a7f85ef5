"""The file of one store of the vault: names and what is sealed under them, as JSON.

Rows enter and leave. What is inside a token, and with which key it was sealed, is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mcp_gateway.errors import CannotCreate, SecretDamaged
from mcp_gateway.security.private_file import write_private

SECRETS: Final = "secrets"
"""The store of what the operator has set, for `${secret:NAME}`."""
SIGNING: Final = "signing"
TOKENS: Final = "tokens"
"""The store of logins to upstreams."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A sealed secret: the id of its key, its Fernet token, and when it was set (epoch seconds)."""

    key: str
    token: str
    set_at: int


def vault_file(folder: Path, store: str = SECRETS) -> Path:
    """Where a store is."""
    return folder / f"{store}.json"


def read_rows(path: Path) -> dict[str, Row]:
    """The rows of a file, in the order of names; none when it is not there. Raises SecretDamaged."""
    try:
        body = json.loads(path.read_bytes())
        return {name: _row(row) for name, row in sorted(_rows(body).items())}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SecretDamaged(f"{path.name} of the state folder cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise SecretDamaged(
            f"{path.name} of the state folder is not what the gateway wrote; "
            "put a backup in its place, or remove it and set the secrets again"
        ) from None


def write_rows(path: Path, rows: Mapping[str, Row]) -> None:
    """Put these in the place of what is there: all of them, or none. Raises CannotCreate."""
    body = {"version": _VERSION, "secrets": {name: asdict(row) for name, row in sorted(rows.items())}}
    try:
        write_private(path, json.dumps(body, indent=1).encode())
    except OSError as error:
        raise unwritable(error.strerror) from None


def unwritable(reason: str | None) -> CannotCreate:
    return CannotCreate(f"secrets cannot be written to the state folder ({reason})")


def _rows(body: Any) -> dict[str, Any]:
    if body["version"] != _VERSION:
        raise ValueError("another version")
    rows = body["secrets"]
    if not isinstance(rows, dict):
        raise TypeError("no rows")
    return rows


def _row(row: Any) -> Row:
    key, token, set_at = row["key"], row["token"], row["set_at"]
    if not (isinstance(key, str) and isinstance(token, str) and type(set_at) is int):
        raise TypeError("not a row")
    return Row(key, token, set_at)
