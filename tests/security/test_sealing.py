"""Texts that open only here, and only for what they are bound to."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from mcp_gateway.security.sealing import MAX_CHARS, Seal


def test_what_was_sealed_is_opened_and_cannot_be_read_outside() -> None:
    seal = Seal()
    text = seal.close(b"a secret", b"ann")
    assert seal.open(text, b"ann") == b"a secret"
    assert b"a secret" not in urlsafe_b64decode(text)


def test_the_same_content_gets_another_text_each_time() -> None:
    seal = Seal()
    assert seal.close(b"x", b"") != seal.close(b"x", b"")


def test_a_text_opens_for_nothing_else() -> None:
    seal = Seal()
    assert seal.open(seal.close(b"x", b"ann"), b"bob") is None


def test_a_text_of_another_process_does_not_open() -> None:
    assert Seal().open(Seal().close(b"x", b"ann"), b"ann") is None


def test_no_byte_can_be_changed() -> None:
    seal = Seal()
    sealed = urlsafe_b64decode(seal.close(b"x", b"ann"))
    for place in range(len(sealed)):
        forged = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        assert seal.open(urlsafe_b64encode(forged).decode(), b"ann") is None


@pytest.mark.parametrize("change", ["{}-TAMPERED", "{}A", "{}=", " {}", "{}\n", "!{}"])
def test_nothing_can_be_added(change: str) -> None:
    seal = Seal()
    assert seal.open(change.format(seal.close(b"xy", b"ann")), b"ann") is None


@pytest.mark.parametrize("text", ["", "x", "AAAA", "ü", "\ud800", "A" * 64, "A" * (MAX_CHARS + 4)])
def test_what_was_never_sealed_does_not_open(text: str) -> None:
    assert Seal().open(text, b"") is None
