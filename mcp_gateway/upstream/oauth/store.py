"""Logins at rest: an encrypted row for each server, its address, its issuer and whose login it is.

Accounts and registrations enter and leave. Nothing of one server, address, issuer or principal is found under another.
Every method blocks for a moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from mcp_gateway.errors import SecretDamaged, SecretKeyRefused, UnknownName
from mcp_gateway.security.principal import LOCAL
from mcp_gateway.security.vault import Vault
from mcp_gateway.security.vault_file import TOKENS, Row
from mcp_gateway.security.vault_places import VARIABLE
from mcp_gateway.upstream.oauth.account import Account, Registration
from mcp_gateway.upstream.oauth.advice import to_log_in, to_log_out

_Row = TypeVar("_Row", Account, Registration)

_LOGIN: Final = "login"
_CLIENT: Final = "client"


class TokenStore:
    """The part of the store that belongs to one principal at one configured server at one address.

    `lock_file` is held by whoever gets new tokens for it.
    """

    def __init__(
        self, folder: Path, environ: Mapping[str, str], server: str, url: str, principal: str = LOCAL.id
    ) -> None:
        self._vault = Vault(folder, environ, TOKENS)
        self._server = server
        self._principal = principal
        self._place = _digest(server, url)
        self._owner = _owner(principal)
        self.lock_file = folder / f"tokens.{self._place}{self._owner}.lock"

    def account(self) -> Account | None:
        """The login that was made last. Raises SecretKeyRefused, SecretDamaged."""
        rows = [(row.set_at, name) for name, row in self._rows(_LOGIN).items()]
        return self._get(max(rows)[1], Account) if rows else None

    def put(self, account: Account) -> None:
        """Keep this login and forget those at other issuers. Raises SecretKeyRefused, SecretDamaged, CannotCreate."""
        name = self._name(_LOGIN, account.issuer)
        self._set(name, account)
        self._remove(other for other in self._rows(_LOGIN) if other != name)

    def registration(self, issuer: str, door: str = "") -> Registration | None:
        """The client registered with this issuer; None too when it cannot be read: another one can be registered.

        `door` is the callback it was registered for, empty where that is a port of the loopback.
        """
        try:
            return self._get(self._name(_CLIENT, issuer, door), Registration)
        except (SecretKeyRefused, SecretDamaged):
            return None

    def put_registration(self, issuer: str, registration: Registration, door: str = "") -> None:
        """Raises as `put` does."""
        self._set(self._name(_CLIENT, issuer, door), registration)

    def forget_registration(self, issuer: str, door: str = "") -> None:
        """Raises SecretDamaged, CannotCreate."""
        name = self._name(_CLIENT, issuer, door)
        self._remove(other for other in self._rows(_CLIENT) if other == name)

    def forget(self) -> bool:
        """Forget the login, and the client that was registered for it; False when there is no login."""
        rows = {**self._rows(_LOGIN), **self._rows(_CLIENT)}
        self._remove(rows)
        return any(name.startswith(_LOGIN) for name in rows)

    def _rows(self, kind: str) -> Mapping[str, Row]:
        begin = f"{kind}.{self._place}."
        return {
            name: row
            for name, row in self._vault.rows().items()
            if name.startswith(begin) and _owner_of(name) == self._owner
        }

    def _name(self, kind: str, issuer: str, *more: str) -> str:
        return f"{kind}.{self._place}.{_digest(issuer, *filter(None, more))}{self._owner}"

    def _get(self, name: str, kind: type[_Row]) -> _Row | None:
        try:
            return msgspec.json.decode(self._vault.get_bytes(name), type=kind)
        except UnknownName:
            return None
        except SecretKeyRefused:
            raise SecretKeyRefused(
                f"no key that is here opens the stored login of upstream {self._server!r}; add the key to {VARIABLE}, "
                f"or log in again: mcp-gateway logout --all, then {to_log_in(self._server, self._principal)}",
                server=self._server,
            ) from None
        except (SecretDamaged, msgspec.MsgspecError):
            raise SecretDamaged(
                f"the stored login of upstream {self._server!r} is not what was stored; "
                f"log in again: {to_log_out(self._server, self._principal)}, "
                f"then {to_log_in(self._server, self._principal)}",
                server=self._server,
            ) from None

    def _set(self, name: str, row: Account | Registration) -> None:
        try:
            self._vault.set(name, msgspec.json.encode(row))
        except SecretKeyRefused as refused:
            raise SecretKeyRefused(refused.message, server=self._server) from None

    def _remove(self, names: Iterable[str]) -> None:
        for name in list(names):
            with suppress(UnknownName):  # another process may be faster
                self._vault.remove(name)


def forget_all(folder: Path, environ: Mapping[str, str]) -> int:
    """Forget every login of every server; how many there were. Raises SecretDamaged, CannotCreate."""
    vault = Vault(folder, environ, TOKENS)
    names = vault.names()
    for name in names:
        vault.remove(name)
    return sum(name.startswith(_LOGIN) for name in names)


def forget_of(folder: Path, environ: Mapping[str, str], principal: str) -> int:
    """Forget every login of one principal, to whatever server; how many there were. Raises as `forget_all` does."""
    vault = Vault(folder, environ, TOKENS)
    names = [name for name in vault.names() if _owner_of(name) == _owner(principal)]
    for name in names:
        with suppress(UnknownName):  # another process may be faster
            vault.remove(name)
    return sum(name.startswith(_LOGIN) for name in names)


def _owner(principal: str) -> str:
    """How the names of a principal's rows end. The local person's have no such end: they are the oldest ones."""
    return "" if principal == LOCAL.id else f".{_digest(principal)}"


def _owner_of(name: str) -> str:
    _, _, _, *owner = name.split(".")
    return "".join(f".{part}" for part in owner)


def _digest(*parts: str) -> str:
    """128 bits of a hash keep places apart and have no character that a name may not have. Our choice."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
