"""Access tokens: what a good one is, and that a token for another end, of another hand or of another time is none."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.security.jwt import (
    MAX_KEYS,
    BadKeySet,
    BadToken,
    KeyName,
    TokenRules,
    key_name,
    key_set,
    principal_of,
)
from mcp_gateway.security.principal import Principal

from tests.fakes.authorization_server import AUDIENCE, ISSUER, encoded, jwk, jwks, jws, token

RULES = TokenRules(ISSUER, AUDIENCE)
KEYS = key_set(jwks("rsa", "rsa2", "ec", "ed"))


def holder(text: str, rules: TokenRules = RULES) -> Principal:
    key = KEYS.find(key_name(text))
    if key is None:
        raise BadToken("no such key")
    return principal_of(text, key, rules)


def refuses(text: str) -> None:
    with pytest.raises(BadToken):
        holder(text)


@pytest.mark.parametrize(
    ("key", "algorithm"), [("rsa", "RS256"), ("rsa", "PS256"), ("rsa2", "RS256"), ("ec", "ES256"), ("ed", "EdDSA")]
)
def test_a_token_is_that_of_its_subject(key: str, algorithm: str) -> None:
    assert holder(token(key, algorithm)) == Principal("oauth:ada", frozenset({"read", "call"}))


@pytest.mark.parametrize("type_", [None, "JWT", "jwt", "at+jwt", "application/at+JWT"])
def test_the_types_that_issuers_give_access_tokens_are_accepted(type_: str | None) -> None:
    assert holder(token("ec", "ES256", {"typ": type_})).id == "oauth:ada"


@pytest.mark.parametrize("type_", ["dpop+jwt", "logout+jwt", "secevent+jwt", ""])
def test_a_token_for_another_end_is_refused(type_: str) -> None:
    refuses(token("ec", "ES256", {"typ": type_}))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://issuer.example/"},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "https://gate.example"},
        {"aud": "https://other.example/mcp"},
        {"aud": []},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"nbf": time.time() + 86_400},
        {"iat": time.time() + 86_400},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "\ud800"},
    ],
)
def test_a_claim_that_is_wrong_or_missing_is_refused(claims: dict[str, Any]) -> None:
    refuses(token("ec", "ES256", **claims))


def test_clocks_may_differ_a_little() -> None:
    now = time.time()

    assert holder(token("ec", "ES256", exp=now - 15, nbf=now)).id == "oauth:ada"
    assert holder(token("ec", "ES256", nbf=now + 15)).id == "oauth:ada"


def test_ours_may_be_one_of_several_audiences() -> None:
    assert holder(token("ec", "ES256", aud=["https://other.example", AUDIENCE])).id == "oauth:ada"


CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": time.time() + 300}


@pytest.mark.parametrize(
    "forged",
    [
        lambda: token("rsa2", "RS256", {"kid": "rsa"}),
        lambda: token("rsa", "RS256", {"kid": "ec"}),
        lambda: token("rsa", "RS256", {"kid": "unknown"}),
        lambda: token("rsa", "RS384"),
        lambda: token("p384", "ES384", {"kid": "ec"}),
        lambda: jws({"alg": "none", "kid": "rsa"}, CLAIMS, "none", None),
        lambda: jws({"alg": "HS256", "kid": "rsa"}, CLAIMS, "HS256", jwks("rsa")),
        lambda: token("ec", "ES256", {"crit": ["b64"], "b64": True}),
        lambda: token("ec", "ES256", {"crit": ["exp"]}),
        lambda: token("rsa2", "RS256", {"kid": "rsa", "jwk": jwk("rsa2")}),
        lambda: token("rsa2", "RS256", {"kid": "rsa", "jku": "https://evil.example/keys"}),
        lambda: token("ec", "ES256", sub="x" * 20_000),
        lambda: "",
        lambda: "a.b.c",
        lambda: "é.é.é",
        lambda: with_header(b"[" * 8000),
        lambda: with_header(b"[]"),
        lambda: with_header(b'{"alg": ["RS256"], "kid": "rsa"}'),
        lambda: with_header(b'{"alg": "RS256", "kid": 7}'),
    ],
)
def test_a_forged_token_is_refused(forged: Any) -> None:
    refuses(forged())


def with_header(header: bytes) -> str:
    return f"{encoded(header)}.e30.e30"


@given(st.integers(0, 2), st.integers(min_value=0), st.integers(0, 7))
def test_any_bit_flipped_in_a_token_is_refused(part: int, position: int, bit: int) -> None:
    parts = GOOD.split(".")
    changed = bytearray(base64.urlsafe_b64decode(parts[part] + "=" * (-len(parts[part]) % 4)))
    changed[position % len(changed)] ^= 1 << bit
    parts[part] = encoded(bytes(changed))

    refuses(".".join(parts))


GOOD = token("ed", "EdDSA")


@given(st.text())
def test_no_text_whatever_does_more_than_be_refused(text: str) -> None:
    refuses(text)


def test_a_token_without_key_id_is_that_of_the_only_key_that_fits() -> None:
    bare = token("ec", "ES256", {"kid": None})

    assert key_set(jwks("rsa", "ec")).find(key_name(bare)) is not None
    assert key_set(jwks("rsa", "ec", "ec2")).find(key_name(bare)) is None
    assert key_set(jwks("rsa")).find(key_name(bare)) is None


@pytest.mark.parametrize(
    ("claims", "granted"),
    [
        ({"scope": "read"}, {"read"}),
        ({"scope": "openid read  admin nonsense"}, {"read", "admin"}),
        ({"scope": ["read", "call", 7]}, {"read", "call"}),
        ({"scope": None, "scp": "read call"}, {"read", "call"}),
        ({"scope": None, "scp": ["ask"]}, {"ask"}),
        ({"scope": None}, set()),
        ({"scope": {"read": True}}, set()),
    ],
)
def test_scopes_are_ours_where_names_agree(claims: dict[str, Any], granted: set[str]) -> None:
    assert holder(token("ec", "ES256", **claims)).scopes == granted


def test_scopes_are_mapped_and_nothing_else_is_granted() -> None:
    rules = TokenRules(ISSUER, AUDIENCE, {"tools.use": "call", "tools.see": "read", "api": "read"})

    assert holder(token("ec", "ES256", scope="tools.use api admin execute"), rules).scopes == {"call", "read"}
    assert rules.theirs("read") == ("tools.see", "api")
    assert rules.theirs("admin") == ()
    assert RULES.theirs("read") == ("read",)


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("auth0|5f7c", "auth0|5f7c"),
        ("ada@example.org", "ada@example.org"),
        ("a b\nc", "a%20b%0Ac"),
        ("a%20b", "a%2520b"),
        ("ä", "%C3%A4"),
    ],
)
def test_a_subject_is_kept_and_safe_to_log(subject: str, shown: str) -> None:
    assert holder(token("ec", "ES256", sub=subject)).id == f"oauth:{shown}"


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
        jwk("ec", kid="encrypting", use="enc"),
        jwk("ec", kid="private", d="AAAA"),
        jwk("ec", kid="mixed", alg="ES384"),
        jwk("ec", kid="off the curve", x="AAAA"),
        jwk("ec", kid=["a list"]),
        jwk("p384"),
        jwk("rsa", kid="odd", n=7),
        jwk("rsa", kid="short", n=None),
        {"kty": "EC", "crv": "P-256", "kid": "empty"},
        {"kty": ["RSA"]},
        {},
        7,
    ],
)
def test_a_key_that_cannot_be_used_is_left_out(entry: Any) -> None:
    keys = key_set(json.dumps({"keys": [entry, jwk("ed")]}).encode())

    assert set(keys.keys) == {("ed", "EdDSA")}


def test_a_key_is_used_with_the_algorithm_that_it_names_alone() -> None:
    keys = key_set(json.dumps({"keys": [jwk("rsa", alg="PS256")]}).encode())

    assert set(keys.keys) == {("rsa", "PS256")}


def test_a_short_key_is_not_trusted() -> None:
    text = token("small rsa")
    key = key_set(jwks("small rsa")).find(KeyName("small rsa", "RS256"))

    assert key is not None
    with pytest.raises(BadToken):
        principal_of(text, key, RULES)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"keys": 7}', b'{"keys": "k"}', b'{"keys": null}', b"[" * 100_000]
)
def test_what_is_no_set_of_keys_is_said(body: bytes) -> None:
    with pytest.raises(BadKeySet, match="is not a JWK set"):
        key_set(body)


def test_a_set_of_too_many_keys_is_refused() -> None:
    with pytest.raises(BadKeySet, match="more than 100"):
        key_set(json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["kty", "crv", "n", "e", "x", "y", "kid"]), inner),
    max_leaves=12,
)


@given(json_values)
def test_no_set_of_keys_whatever_does_more_than_be_refused(value: Any) -> None:
    for body in (value, {"keys": value}, {"keys": [value]}):
        try:
            found = key_set(json.dumps(body).encode()).keys
        except BadKeySet:
            continue
        assert all(algorithm != "HS256" for _, algorithm in found)
