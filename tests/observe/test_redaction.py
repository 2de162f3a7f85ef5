"""No spelling of a secret survives the redactor."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from mcp_gateway.observe.redaction import HIDDEN, Redactor

SECRETS = ("plain-secret-1", "s3cr/t+to ken?", 'quo"ted\\secret', "pässwörd-ß☃", "Bearer-ish.eyJhbGciOi", "six666")


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.know(SECRETS)
    return redactor


@pytest.mark.parametrize("secret", SECRETS)
def test_a_plain_secret_is_hidden(redactor: Redactor, secret: str) -> None:
    assert redactor.clean(f"a {secret} z{secret}") == f"a {HIDDEN} z{HIDDEN}"


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("after", ["", ":", "more"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_hidden_wherever_the_secret_stands_in_it(
    redactor: Redactor, secret: str, before: str, after: str, encode: type
) -> None:
    encoded = encode(f"{before}{secret}{after}".encode())
    cleaned = redactor.clean(f"Basic {encoded.decode()}")

    assert HIDDEN in cleaned
    assert len(cleaned.replace(HIDDEN, "")) < len("Basic ") + 4 + 4 * (len(before + after) // 3 + 1)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("safe", ["", "/"])
@pytest.mark.parametrize("lower", [True, False])
def test_url_encoding_is_hidden(redactor: Redactor, secret: str, safe: str, lower: bool) -> None:
    encoded = quote(secret, safe=safe)
    if lower:
        encoded = encoded.replace("%2F", "%2f").replace("%2B", "%2b").replace("%3F", "%3f").replace("%C3", "%c3")
    if encoded.lower() == encoded or not lower:
        assert redactor.clean(f"?key={encoded}&x=1") == f"?key={HIDDEN}&x=1"


@pytest.mark.parametrize("secret", SECRETS)
def test_escapes_of_json_python_and_forms_are_hidden(redactor: Redactor, secret: str) -> None:
    for spelling in (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret), quote_plus(secret)):
        assert HIDDEN in redactor.clean(f"text {spelling}")
        assert secret not in redactor.clean(f"text {spelling}")


def test_each_line_of_a_long_secret_counts() -> None:
    redactor = Redactor()
    redactor.know(["-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n"])

    assert redactor.clean("cat: MIIEvQIBADANBg") == f"cat: {HIDDEN}"


def test_the_longest_secret_wins() -> None:
    redactor = Redactor()
    redactor.know(["secret", "secret-and-more"])

    assert redactor.clean("secret-and-more") == HIDDEN


def test_what_was_a_secret_stays_one() -> None:
    redactor = Redactor()
    redactor.know(["first-token"])
    redactor.know(["second-token"])

    assert redactor.clean("first-token second-token") == f"{HIDDEN} {HIDDEN}"


def test_without_secrets_everything_stays() -> None:
    redactor = Redactor()
    redactor.know(["", "  ", "\n"])

    assert redactor.clean("text  \n") == "text  \n"


def test_short_texts_are_no_secrets() -> None:
    redactor = Redactor()
    redactor.know(["true", "8080"])

    assert redactor.clean("port 8080 is true") == "port 8080 is true"


def test_secrets_that_are_renewed_are_forgotten_in_the_end() -> None:
    redactor = Redactor()
    for number in range(1, 6):
        redactor.know_newest("up", [f"token-{number}", f"token-{number}"])
        redactor.know_newest("up", [f"token-{number}"])
    redactor.know_newest("other", ["another"])

    assert redactor.clean("token-2 token-3 token-5 another") == f"token-2 {HIDDEN} {HIDDEN} {HIDDEN}"
