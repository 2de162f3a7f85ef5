"""Entries of the system's keyring; one that cannot be used is as good as none."""

from __future__ import annotations

import sys

import keyring
import pytest
from keyring.backends.null import Keyring as ForgetfulKeyring
from keyring.errors import KeyringLocked, PasswordDeleteError, PasswordSetError
from mcp_gateway.security import system_keyring

from tests.fakes.system_keyring import FakeKeyring


def test_what_was_written_is_read(fake_keyring: FakeKeyring) -> None:
    assert system_keyring.write("a", "text")
    assert system_keyring.read("a") == "text"
    assert fake_keyring.texts == {("mcp-gateway", "a"): "text"}


def test_an_entry_that_is_not_there_is_none(fake_keyring: FakeKeyring) -> None:
    assert system_keyring.read("a") is None


def test_a_locked_store_gives_and_takes_nothing(fake_keyring: FakeKeyring) -> None:
    system_keyring.write("a", "text")
    fake_keyring.locked = True

    assert (system_keyring.read("a"), system_keyring.write("b", "text")) == (None, False)


def test_a_machine_without_a_store_gives_and_takes_nothing() -> None:
    assert (system_keyring.read("a"), system_keyring.write("b", "text")) == (None, False)


def test_a_store_that_keeps_nothing_is_noticed(fake_keyring: FakeKeyring) -> None:
    keyring.set_keyring(ForgetfulKeyring())  # type: ignore[no-untyped-call]  # it is not annotated

    assert not system_keyring.write("a", "text")


def test_without_the_extra_there_is_no_store(fake_keyring: FakeKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    system_keyring.write("a", "text")
    monkeypatch.setitem(sys.modules, "keyring", None)

    assert not system_keyring.is_installed()
    assert (system_keyring.read("a"), system_keyring.write("b", "text")) == (None, False)


def test_the_fake_store_behaves_as_a_store_does() -> None:
    store = FakeKeyring()
    store.set_password("s", "u", "p")
    assert store.get_password("s", "u") == "p"

    store.delete_password("s", "u")
    assert store.get_password("s", "u") is None
    with pytest.raises(PasswordDeleteError):
        store.delete_password("s", "u")

    store.read_only = True
    with pytest.raises(PasswordSetError):
        store.set_password("s", "u", "p")

    store.locked = True
    with pytest.raises(KeyringLocked):
        store.get_password("s", "u")
