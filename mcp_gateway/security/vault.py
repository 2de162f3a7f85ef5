"""Named secrets at rest: a JSON file in the state folder whose values are sealed.

    vault = Vault(state_folder, os.environ)
    vault.set("github", "ghp_...")
    vault.get("github")

Names, texts and bytes enter; what reaches the disk is a Fernet token for each, sealed together
with its store and its name, so that tokens cannot be swapped. Reading needs no lock. Writing
takes one, so that processes lose nothing of each other's. Every method blocks for a moment.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from mcp_gateway.errors import InvalidParams, SecretDamaged, SecretKeyRefused, UnknownName
from mcp_gateway.security.file_lock import LockTimeout, file_lock
from mcp_gateway.security.private_file import make_private
from mcp_gateway.security.secret_name import NAME_RULE, is_secret_name
from mcp_gateway.security.vault_file import SECRETS, SIGNING, TOKENS, Row, read_rows, unwritable, vault_file, write_rows
from mcp_gateway.security.vault_key import Key, Unfit
from mcp_gateway.security.vault_places import VARIABLE, VaultKeys

STORES: Final = (SECRETS, SIGNING, TOKENS)
"""Every store, a file each; they share the key, so a rotation goes through all of them."""

MAX_BYTES: Final = 64 * 1024
"""Largest secret. Our choice: a chain of certificates with its key has some 10 KB."""

WRITE_WITHIN_S: Final = 10.0
"""How long a writer waits for another. Our choice: a write takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """How many secrets were sealed anew, where their key is (None: there is none), and what is not needed any more."""

    count: int
    place: str | None
    idle: tuple[str, ...]


class Vault:
    """One store of secrets. `environ` may hold the key; a writer waits at most `within_s` seconds for others."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str], store: str = SECRETS, *, within_s: float = WRITE_WITHIN_S
    ) -> None:
        self._within_s = within_s
        self._folder = folder
        self._store = store
        self._path = vault_file(folder, store)
        self._keys = VaultKeys(folder, environ)

    def rows(self) -> Mapping[str, Row]:
        """Every name and what is stored under it; needs no key. Raises SecretDamaged."""
        return read_rows(self._path)

    def names(self) -> tuple[str, ...]:
        """Every name, sorted; needs no key. Raises SecretDamaged."""
        return tuple(self.rows())

    def get(self, name: str) -> str:
        """The text stored under a name. Raises as `get_bytes` does."""
        try:
            return self.get_bytes(name).decode()
        except UnicodeDecodeError:
            raise SecretDamaged(f"the secret {name!r} is not text") from None

    def get_bytes(self, name: str) -> bytes:
        """The bytes stored under a name.

        Raises:
            UnknownName: nothing is.
            SecretKeyRefused: no key that is here opens it, or the key must not be used.
            SecretDamaged: the file, or this part of it, is not what was written.
        """
        try:
            return self._get(name)
        except SecretKeyRefused:
            return self._get(name)  # a rotation may have come between reading the file and reading the key

    def set(self, name: str, value: str | bytes) -> None:
        """Store a value, in the place of an older one. The first one makes a key where there is none.

        Raises:
            InvalidParams: the name or the value cannot be one.
            SecretKeyRefused: the key must not be used, or does not open what is stored already, in any store where
                there is none.
            SecretDamaged, CannotCreate: nothing has changed.
        """
        content = value.encode() if isinstance(value, str) else value
        _check(name, content)
        with self._writing():
            rows = read_rows(self._path)
            key = self._sealing(name)
            rows[name] = Row(key.id, _seal(key, self._store, name, content), int(time.time()))
            write_rows(self._path, rows)

    def remove(self, name: str) -> None:
        """Forget a secret; needs no key. Raises UnknownName, SecretDamaged, CannotCreate."""
        with self._writing():
            rows = read_rows(self._path)
            if rows.pop(name, None) is None:
                raise _unknown(name, rows)
            write_rows(self._path, rows)

    def rotate(self) -> Rotation:
        """Seal every secret of every store under the newest key.

        The variable is the operator's: its first key is the newest. A key that we keep ourselves is
        replaced by a new one. Wherever this is interrupted, the keys that are left open what is left.

        Raises:
            SecretKeyRefused: a secret cannot be opened; nothing has changed.
            SecretDamaged, CannotCreate
        """
        with self._writing():
            opened = {store: self._opened(store) for store in STORES}
            with self._keys.renewed() as key:
                if key is None:
                    return Rotation(0, None, ())
                for store, contents in opened.items():
                    self._seal_anew(store, contents, key)
            place, idle = self._keys.summary()
            return Rotation(sum(map(len, opened.values())), place, idle)

    def _get(self, name: str) -> bytes:
        rows = read_rows(self._path)
        if name not in rows:
            raise _unknown(name, rows)
        return self._open(self._store, name, rows[name])

    def _opened(self, store: str) -> dict[str, bytes]:
        rows = read_rows(vault_file(self._folder, store))
        return {name: self._open(store, name, row) for name, row in rows.items()}

    def _open(self, store: str, name: str, row: Row) -> bytes:
        key = self._keys.find(row.key)
        if key is None:
            raise _no_key(store, [name])
        try:
            content, bound = key.open(row.token), _binding(store, name)
        except Unfit:
            raise _damaged(name) from None
        if not content.startswith(bound):
            raise _damaged(name)
        return content.removeprefix(bound)

    def _sealing(self, name: str) -> Key:
        """The key for a row. Raises SecretKeyRefused.

        1. A store whose other rows cannot be opened gets no row, lest it has two unknown keys.
        2. None is made while anything in any store cannot be opened: the key is missing, not yet to be.
        """
        newest = self._keys.newest()
        if newest is not None:
            self._check_opens(self._store, besides=name)
            return newest
        for store in STORES:
            self._check_opens(store)
        return self._keys.make()

    def _check_opens(self, store: str, besides: str | None = None) -> None:
        rows = read_rows(vault_file(self._folder, store))
        unreadable = [name for name, row in rows.items() if name != besides and self._keys.find(row.key) is None]
        if unreadable:
            raise _no_key(store, unreadable)

    def _seal_anew(self, store: str, contents: Mapping[str, bytes], key: Key) -> None:
        path = vault_file(self._folder, store)
        rows = read_rows(path)
        if rows:
            sealed = {
                name: Row(key.id, _seal(key, store, name, contents[name]), row.set_at) for name, row in rows.items()
            }
            write_rows(path, sealed)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            make_private(self._folder)
            with file_lock(self._folder / "secrets.lock", self._within_s):
                yield
        except LockTimeout:
            raise unwritable(f"another process has held them for {self._within_s:g} s") from None
        except OSError as error:
            raise unwritable(error.strerror) from None


def _seal(key: Key, store: str, name: str, content: bytes) -> str:
    return key.seal(_binding(store, name) + content)


def _binding(store: str, name: str) -> bytes:
    """What a value is sealed behind; neither part can hold the byte that ends it."""
    return f"{store}\0{name}\0".encode()


def _check(name: str, content: bytes) -> None:
    if not is_secret_name(name):
        raise InvalidParams(f"not a name for a secret: {NAME_RULE}")
    if not content:
        raise InvalidParams(f"the value of the secret {name!r} is empty")
    if len(content) > MAX_BYTES:
        raise InvalidParams(f"the value of the secret {name!r} is larger than {MAX_BYTES // 1024} KiB")


def _unknown(name: str, rows: Mapping[str, Row]) -> UnknownName:
    near = get_close_matches(name, rows, n=1)
    return UnknownName("secret", name, nearest=near[0] if near else None)


def _no_key(store: str, names: Sequence[str]) -> SecretKeyRefused:
    listed = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
    secrets = f"secret{'s' if len(names) > 1 else ''} {listed}"
    what, remedy = {
        SECRETS: (f"the {secrets}", f"mcp-gateway secrets rm {names[0]}"),
        SIGNING: (f"the signing {secrets}", f"mcp-gateway keys revoke {names[0]}"),
        TOKENS: ("the logins that are stored", "mcp-gateway logout --all"),
    }[store]
    return SecretKeyRefused(
        f"no key that is here opens {what}; add the key that sealed it to {VARIABLE}, or take it away: {remedy}"
    )


def _damaged(name: str) -> SecretDamaged:
    return SecretDamaged(f"the secret {name!r} is not what was stored; set it again: mcp-gateway secrets set {name}")
