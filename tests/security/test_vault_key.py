"""Keys: their texts, their ids, and what they seal."""

from __future__ import annotations

import base64

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.security.vault_key import Key, NotAKey, Unfit, new_key, read_keys, write_keys


@given(st.binary(max_size=200))
def test_what_was_sealed_is_opened(content: bytes) -> None:
    key = new_key()
    assert key.open(key.seal(content)) == content


def test_a_token_is_one_of_fernet() -> None:
    key = new_key()
    assert Fernet(key.text).decrypt(key.seal(b"content")) == b"content"


@pytest.mark.parametrize("token", ["", "not a token", "gAAAAA", "\u00fc"])
def test_what_is_no_token_of_the_key_does_not_open(token: str) -> None:
    with pytest.raises(Unfit):
        new_key().open(token)


def test_another_key_does_not_open() -> None:
    with pytest.raises(Unfit):
        new_key().open(new_key().seal(b"content"))


def test_keys_are_written_and_read_in_their_order() -> None:
    keys = (new_key(), new_key())
    assert read_keys(write_keys(keys)) == keys


def test_spaces_and_lines_between_keys_do_not_matter() -> None:
    first, second = new_key(), new_key()
    assert read_keys(f" {first.text},\n{second.text}\n") == (first, second)


def test_both_alphabets_of_base64_are_the_same_key() -> None:
    raw = b"\xfb\xff" * 16
    plain, url_safe = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()

    assert plain != url_safe
    assert read_keys(plain) == read_keys(url_safe) == (Key(url_safe),)


def test_an_empty_text_has_no_keys() -> None:
    assert read_keys(" \n") == ()


@pytest.mark.parametrize("text", ["password", "A" * 44, "A" * 42 + "=", "A" * 43, "A" * 43 + "==", "\u00fc" * 43 + "="])
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(NotAKey) as refusal:
        read_keys(f"{new_key().text},{text}")

    assert text not in str(refusal.value)


def test_ids_tell_keys_apart_and_neither_id_nor_repr_shows_one() -> None:
    first, second = new_key(), new_key()

    assert first.id == Key(first.text).id
    assert first.id != second.id
    assert first.text not in repr(first)
    assert first.id not in first.text
