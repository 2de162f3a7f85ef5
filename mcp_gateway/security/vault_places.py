"""Where the keys of the vault are: an environment variable, the system's keyring, or a file.

The state folder and the environment enter, keys leave. What they seal is not known here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from mcp_gateway.errors import CannotCreate, SecretKeyRefused
from mcp_gateway.security import system_keyring
from mcp_gateway.security.private_file import write_private
from mcp_gateway.security.vault_key import Key, NotAKey, new_key, read_keys, write_keys

VARIABLE: Final = "MCP_GATEWAY_SECRET_KEY"
KEY_FILE: Final = "secret.key"


class Place(Protocol):
    """One place for keys; `name` is for messages."""

    @property
    def name(self) -> str: ...

    def read(self) -> tuple[Key, ...]:
        """Its keys, the one that seals first; none when there is none. Raises SecretKeyRefused."""
        ...


class VaultKeys:
    """All keys of one state folder.

    The first place that has a key gives the one that seals: variable, keyring, file. For opening
    it does not matter where a key comes from, so there the quick places are asked first.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._variable = _Variable(environ)
        self._keyring = _Keyring(folder)
        self._file = _File(folder / KEY_FILE)
        self._found: dict[str, Key] = {}

    def find(self, id: str) -> Key | None:
        """The key with this id, wherever it is. Raises SecretKeyRefused."""
        for place in (self._variable, self._file, self._keyring):
            if id not in self._found:
                self._found.update((key.id, key) for key in place.read())
        return self._found.get(id)

    def newest(self) -> Key | None:
        """The key that seals; None when there is none yet. Raises SecretKeyRefused."""
        place = self._sealing()
        return place.read()[0] if place is not None else None

    def make(self) -> Key:
        """A first key: in the keyring where that works, else in the file. Raises CannotCreate."""
        keys = (new_key(),)
        if not self._keyring.write(keys):
            self._file.write(keys)
        return keys[0]

    @contextmanager
    def renewed(self) -> Iterator[Key | None]:
        """A key to seal everything with within the block; on leaving, the older ones that we keep are gone.

        Should the block fail, the older ones stay. The variable is left to the operator, its first key is the one.

        Raises:
            SecretKeyRefused, CannotCreate: nothing has changed.
        """
        place = self._sealing()
        if place is not self._keyring and place is not self._file:
            yield self.newest()
            return
        key = new_key()
        self._keep(place, (key, *place.read()))
        yield key
        self._keep(place, (key,))

    def summary(self) -> tuple[str | None, tuple[str, ...]]:
        """The name of the place that seals, and of those with keys that do not. Raises SecretKeyRefused."""
        sealing = self._sealing()
        idle = [place.name for place in self._places() if place is not sealing and place.read()]
        if sealing is not None and len(sealing.read()) > 1:
            idle.insert(0, f"the other keys of {sealing.name}")
        return sealing.name if sealing is not None else None, tuple(idle)

    def _sealing(self) -> Place | None:
        return next((place for place in self._places() if place.read()), None)

    def _places(self) -> tuple[Place, ...]:
        return self._variable, self._keyring, self._file

    def _keep(self, place: Place, keys: tuple[Key, ...]) -> None:
        if place is self._file:
            self._file.write(keys)
        elif not self._keyring.write(keys):
            raise CannotCreate(f"{self._keyring.name} does not take a new key")


class _Variable:
    name = f"the variable {VARIABLE}"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._text = environ.get(VARIABLE, "")

    def read(self) -> tuple[Key, ...]:
        return _keys(self._text, self.name)


class _Keyring:
    """The system's keyring, with an entry for each state folder."""

    name = "the system's keyring"

    def __init__(self, folder: Path) -> None:
        self._entry = f"key of {folder.absolute()}"

    def read(self) -> tuple[Key, ...]:
        return _keys(system_keyring.read(self._entry) or "", self.name)

    def write(self, keys: tuple[Key, ...]) -> bool:
        """Whether it has them now."""
        return system_keyring.write(self._entry, write_keys(keys))


class _File:
    name = f"{KEY_FILE} of the state folder"

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[Key, ...]:
        try:
            with self._path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                text = file.read().decode("ascii", "replace")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise SecretKeyRefused(f"{self.name} cannot be read ({error.strerror})") from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SecretKeyRefused(
                f"{self.name} is open to others (mode {mode:03o}); make it yours alone with chmod 600, "
                "then renew it: mcp-gateway secrets rotate"
            )
        return _keys(text, self.name)

    def write(self, keys: tuple[Key, ...]) -> None:
        """Raises CannotCreate."""
        try:
            write_private(self._path, f"{write_keys(keys)}\n".encode())
        except OSError as error:
            raise CannotCreate(f"{self.name} cannot be written ({error.strerror})") from None


def _keys(text: str, name: str) -> tuple[Key, ...]:
    try:
        return read_keys(text)
    except NotAKey as wrong:
        raise SecretKeyRefused(f"{name}: {wrong}; make one with: openssl rand -base64 32") from None
