"""A keyring like the system's, in memory, which can be locked or refuse what is new."""

from __future__ import annotations

import os

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError, PasswordSetError


class FakeKeyring(KeyringBackend):
    """What `keyring.set_keyring` takes."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's is not annotated
        self.texts: dict[tuple[str, str], str] = {}
        self.locked = False
        self.read_only = False

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.texts.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        if self.read_only:
            raise PasswordSetError
        self.texts[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        if self.texts.pop((service, username), None) is None:
            raise PasswordDeleteError

    def _check(self) -> None:
        if self.locked:
            raise KeyringLocked


class VariableKeyring(FakeKeyring):
    """For another process: everything in it is what the variable KEYRING_SECRET holds."""

    def get_password(self, service: str, username: str) -> str | None:
        return os.environ.get("KEYRING_SECRET")
