"""The keys of the state folder: one file that the command line writes and a running gateway reads at once.

The file holds hashes, never a key. One that cannot be read lets nobody in: to ignore it would open the door.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mcp_gateway.errors import BadConfig, CannotCreate, InvalidParams, UnknownName
from mcp_gateway.security.file_lock import LockTimeout, file_lock
from mcp_gateway.security.keys import ApiKey, KeyTable
from mcp_gateway.security.principal import Allowance, Grant
from mcp_gateway.security.private_file import make_private, write_private

VERSION = 1

WRITE_WITHIN_S = 10.0
"""How long a writer waits for another. Our choice: a write takes milliseconds."""

KEYS_FILE = "keys.json"
"""In the state folder."""


class KeyStore:
    """One `keys.json`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[ApiKey, ...]:
        """Every key, in the order of making. Raises BadConfig when the file is not one of ours."""
        try:
            content = json.loads(self.path.read_bytes())
            return tuple(_read(item) for item in content["keys"])
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as fault:
            reason = f"the file of keys cannot be read ({type(fault).__name__})"
            raise BadConfig(f"{self.path.name}: {reason}; restore it, or remove it and create the keys anew") from None

    def add(self, key: ApiKey) -> None:
        """Raises InvalidParams when the name is taken, BadConfig, CannotCreate."""
        with self._changing() as keys:
            if key.name in keys:
                raise InvalidParams(f"there is a key {key.name!r} already; revoke it first, or choose another name")
            keys[key.name] = key

    def revoke(self, name: str) -> None:
        """Raises UnknownName, BadConfig, CannotCreate."""
        with self._changing() as keys:
            if keys.pop(name, None) is None:
                raise UnknownName("key", name)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Raises CannotCreate where the folder cannot be written, or another process writes for too long."""
        try:
            make_private(self.path.parent)
            with file_lock(self.path.with_suffix(".lock"), WRITE_WITHIN_S):
                yield
        except LockTimeout:
            raise CannotCreate("another process is writing the keys; try again") from None
        except OSError as refused:
            raise CannotCreate(f"the keys cannot be written ({refused.strerror}); see MCP_GATEWAY_HOME") from None

    @contextmanager
    def _changing(self) -> Iterator[dict[str, ApiKey]]:
        """The keys by name, written back at the end; two processes do it one after the other."""
        with self._writing():
            keys = {key.name: key for key in self.read()}
            yield keys
            content = {"version": VERSION, "keys": [_written(key) for key in keys.values()]}
            write_private(self.path, json.dumps(content, indent=1).encode())


class KeyRing:
    """All keys that count: those of the configuration file and those of the store, which is looked at every time."""

    def __init__(self, store: KeyStore, configured: Callable[[], tuple[ApiKey, ...]]) -> None:
        self._store = store
        self._configured = configured
        self._seen: tuple[object, ...] = ()
        self._table = KeyTable(())

    def __len__(self) -> int:
        """How many there are; at least one when the store cannot be read, so that it counts as locked."""
        try:
            return len(self._current())
        except BadConfig:
            return 1

    def __iter__(self) -> Iterator[ApiKey]:
        """Every key, also those whose time is over; none when the store cannot be read."""
        with suppress(BadConfig):
            yield from self._current()

    def find(self, presented: str) -> ApiKey | None:
        """Raises BadConfig when the store cannot be read."""
        return self._current().find(presented)

    def named(self, name: str) -> ApiKey | None:
        """Raises BadConfig when the store cannot be read."""
        return self._current().named(name)

    def _current(self) -> KeyTable:
        """A changed file is read again: `keys revoke` has its effect on the next request."""
        configured = self._configured()
        seen = (_signature(self._store.path), configured)
        if seen != self._seen:
            self._table = KeyTable((*configured, *self._store.read()))
            self._seen = seen
        return self._table


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _written(key: ApiKey) -> dict[str, Any]:
    return {**asdict(key), "scopes": sorted(key.scopes)}


def _read(item: Mapping[str, Any]) -> ApiKey:
    grant: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in item["grant"].items()
    }
    members = {
        **item,
        "scopes": frozenset(item["scopes"]),
        "grant": Grant(**grant),
        "allowance": Allowance(**item["allowance"]),
    }
    return ApiKey(**members)
