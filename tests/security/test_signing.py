"""Signed requests: what a good signature is, and that everything near it is refused in the same words."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from http_message_signatures import InvalidSignature
from hypothesis import assume, given
from hypothesis import strategies as st
from mcp_gateway.errors import BadConfig, RateLimited, Unauthorized
from mcp_gateway.security import REFUSED
from mcp_gateway.security.signing import Lines, Message, Signatures, SigningKey, Verifier, sign

from tests.fakes.clock import Clock
from tests.fakes.http_server import Request, Wire, scripted
from tests.support import require

KEY = SigningKey("ci", b"a secret of at least thirty-two b")
OTHER = SigningKey("other", secrets.token_bytes(32))
URL = "http://gate.example:8765/api/v1/tools/x/call?a=b%20c&d"
BODY = b'{"arguments": {}}'
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "signing.md"
GATE = ("http", "gate.example:8765", "/api/v1/tools/x/call", "a=b%20c&d")


@dataclass(frozen=True)
class Sent:
    """A signed request as a door sees it, in parts that a test may change."""

    headers: tuple[tuple[bytes, bytes], ...]
    method: str = "POST"
    scheme: str = GATE[0]
    authority: str = GATE[1]
    path: str = GATE[2]
    query: str = GATE[3]
    body: bytes = BODY

    def having(self, **values: str) -> Sent:
        """With other values in its headers; `content_digest=` is Content-Digest."""
        named = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in values.items()}
        return replace(self, headers=tuple((name, named.get(name, value)) for name, value in self.headers))

    def header(self, name: str) -> str:
        return dict(self.headers)[name.encode()].decode()


@dataclass
class Door:
    """A verifier with two keys, and clocks that stand still."""

    max_nonces: int = 100
    clock: Clock = field(default_factory=Clock)
    keys: dict[str, SigningKey] = field(default_factory=lambda: {key.id: key for key in (KEY, OTHER)})

    def __post_init__(self) -> None:
        self.signatures = Signatures(self.keys.get, max_nonces=self.max_nonces, wall=self.clock, monotonic=self.clock)

    def signed(
        self, key: SigningKey = KEY, method: str = "POST", url: str = URL, body: bytes = BODY, **more: Any
    ) -> Sent:
        headers = sign(key, method, url, body, **{"created": self.clock.now, **more})
        return Sent(
            tuple((name.lower().encode(), value.encode()) for name, value in headers.items()), method, body=body
        )

    def admits(self, sent: Sent) -> str:
        return self.signatures.verify(
            sent.method, sent.scheme, sent.authority, sent.path, sent.query, sent.headers, sent.body
        )

    def refuses(self, sent: Sent) -> None:
        with pytest.raises(Unauthorized) as refused:
            self.admits(sent)
        assert refused.value.message == REFUSED


def test_a_signed_request_is_that_of_its_key() -> None:
    door = Door()

    assert door.admits(door.signed()) == "ci"
    assert door.admits(door.signed(OTHER)) == "other"


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"x" * 100_000], ids=["empty", "binary", "large"])
def test_any_body_can_be_signed(body: bytes) -> None:
    door = Door()

    assert door.admits(door.signed(body=body)) == "ci"


def test_a_request_without_query_and_path_is_signed_as_the_root() -> None:
    door = Door()

    bare = replace(
        door.signed(method="GET", url="http://GATE.example:80", body=b""), authority="gate.example", query=""
    )

    assert door.admits(replace(bare, path="/")) == "ci"


def test_a_websocket_is_signed_as_the_request_that_opens_it() -> None:
    door = Door()

    opened = replace(door.signed(method="GET", url="https://gate.example/ws", body=b""), authority="gate.example:443")

    assert door.admits(replace(opened, scheme="wss", path="/ws", query="")) == "ci"


def test_a_forged_head_is_refused_before_a_body_is_read() -> None:
    door = Door()
    sent = door.signed()

    read = door.signatures.read(sent.method, *GATE, sent.headers)

    assert door.signatures.admit(read, BODY) == "ci"
    with pytest.raises(Unauthorized):
        door.signatures.read("PUT", *GATE, sent.headers)


CHANGES: dict[str, Callable[[Sent], Sent]] = {
    "another method": lambda sent: replace(sent, method="PUT"),
    "the method in small letters": lambda sent: replace(sent, method="post"),
    "another host": lambda sent: replace(sent, authority="gate.example.org:8765"),
    "another port": lambda sent: replace(sent, authority="gate.example:8766"),
    "a user name in the host": lambda sent: replace(sent, authority="x@gate.example:8765"),
    "another path": lambda sent: replace(sent, path="/api/v1/tools/y/call"),
    "another spelling of the path": lambda sent: replace(sent, path="/api/v1/tools/%78/call"),
    "a fragment": lambda sent: replace(sent, query="a=b%20c&d#e"),
    "the query moved to the path": lambda sent: replace(sent, path=f"{GATE[2]}?{GATE[3]}", query=""),
    "another query": lambda sent: replace(sent, query="a=b%20c&e"),
    "the query in another order": lambda sent: replace(sent, query="d&a=b%20c"),
    "no query": lambda sent: replace(sent, query=""),
    "a truncated body": lambda sent: replace(sent, body=sent.body[:-1]),
    "no body": lambda sent: replace(sent, body=b""),
    "another body with its digest": lambda sent: replace(
        sent.having(content_digest=digest_of(b"other")), body=b"other"
    ),
    "a stronger digest of the same body": lambda sent: sent.having(
        content_digest=f"sha-512=:{b64encode(hashlib.sha512(BODY).digest()).decode()}:"
    ),
    "another label in one header": lambda sent: sent.having(signature=sent.header("signature").replace("sig1", "sig2")),
    "components in another order": lambda sent: edited(sent, '"@method" "@authority"', '"@authority" "@method"'),
    "a component less": lambda sent: edited(sent, '"@query" ', ""),
    "a component twice": lambda sent: edited(sent, '"@query" ', '"@query" "@query" '),
    "a component more": lambda sent: edited(sent, '"@query" ', '"@query" "host" '),
    "another time": lambda sent: edited(sent, "created=18", "created=17"),
    "another key": lambda sent: edited(sent, 'keyid="ci"', 'keyid="other"'),
    "an unknown key": lambda sent: edited(sent, 'keyid="ci"', 'keyid="nobody"'),
    "no key": lambda sent: edited(sent, ';keyid="ci"', ""),
    "another algorithm": lambda sent: edited(sent, ';keyid="ci"', ';keyid="ci";alg="rsa-pss-sha512"'),
    "no signature": lambda sent: without(sent, "signature"),
    "no input": lambda sent: without(sent, "signature-input"),
    "no digest": lambda sent: without(sent, "content-digest"),
    "nothing": lambda sent: replace(sent, headers=()),
    "an empty signature": lambda sent: sent.having(signature="sig1=::"),
    "a signature of another type": lambda sent: sent.having(signature='sig1="x"'),
    "a truncated signature": lambda sent: sent.having(signature=f"sig1=:{b64encode(mac_of(sent)[:16]).decode()}:"),
    "two lines of one header": lambda sent: replace(sent, headers=(*sent.headers, sent.headers[0])),
    "a label twice": lambda sent: sent.having(
        signature_input=", ".join([sent.header("signature-input")] * 2), signature=sent.header("signature")
    ),
    "two signatures": lambda sent: sent.having(
        signature_input=f"{sent.header('signature-input')}, {sent.header('signature-input').replace('sig1', 'sig2')}",
        signature=f"{sent.header('signature')}, {sent.header('signature').replace('sig1', 'sig2')}",
    ),
    "a huge input": lambda sent: sent.having(signature_input=sent.header("signature-input") + " " * 3000),
}


@pytest.mark.parametrize("change", CHANGES)
def test_r_sig_1_what_was_changed_on_the_way_is_refused(change: str) -> None:
    door = Door()
    sent = door.signed()

    door.refuses(CHANGES[change](sent))

    assert door.admits(sent) == "ci", "the original still counts: a forger cannot use up its nonce"


@dataclass(frozen=True)
class Signed:
    """A request that its own key signed well, with odd contents."""

    covered: str = '"@method" "@authority" "@path" "@query" "content-digest"'
    params: str = ';created=1800000000;keyid="ci";nonce="0123456789"'
    digest: str = ""
    method: str = "POST"

    def by(self, key: SigningKey, body: bytes = BODY) -> Sent:
        digest = self.digest or digest_of(body)
        values = {
            "@method": self.method,
            "@authority": GATE[1],
            "@path": GATE[2],
            "@query": f"?{GATE[3]}",
            "content-digest": digest,
        }
        names = [name.split(";")[0].strip('"') for name in self.covered.split()]
        written = [f"{shown}: {values[name]}" for shown, name in zip(self.covered.split(), names, strict=True)]
        params = f"({self.covered}){self.params}"
        mac = key_mac(key, "\n".join([*written, f'"@signature-params": {params}']))
        headers = {"content-digest": digest, "signature-input": f"x={params}", "signature": f"x=:{mac}:"}
        return Sent(tuple((name.encode(), value.encode()) for name, value in headers.items()), self.method)


REQUIRED = Signed().covered.split()
SHA256 = b64encode(hashlib.sha256(BODY).digest()).decode()
SHA512 = b64encode(hashlib.sha512(BODY).digest()).decode()


@pytest.mark.parametrize(
    "signed",
    [
        Signed(),
        Signed(covered=" ".join(reversed(REQUIRED))),
        Signed(params=';nonce="0123456789";keyid="ci";created=1800000000'),
        Signed(params=Signed.params + ';alg="hmac-sha256"'),
        Signed(params=Signed.params + ";expires=1800000001"),
        Signed(params=Signed.params + ';tag="mine"'),
        Signed(digest=f"sha-512=:{SHA512}:"),
        Signed(digest=f"sha-512=:{SHA512}:, sha-256=:{SHA256}:"),
    ],
    ids=str,
)
def test_a_signature_by_any_hand_is_accepted(signed: Signed) -> None:
    assert Door().admits(signed.by(KEY)) == "ci"


@pytest.mark.parametrize(
    "signed",
    [
        *[Signed(covered=" ".join(name for name in REQUIRED if name != left_out)) for left_out in REQUIRED],
        Signed(covered=" ".join([*REQUIRED[:-1], '"content-digest";sf'])),
        Signed(params=';keyid="ci";nonce="0123456789"'),
        Signed(params=';created=1800000000;keyid="ci"'),
        Signed(params=';created=1800000000;nonce="0123456789"'),
        Signed(params=';created="1800000000";keyid="ci";nonce="0123456789"'),
        Signed(params=';created=1800000000.0;keyid="ci";nonce="0123456789"'),
        Signed(params=';created=1800000000;keyid="ci";nonce="0123456"'),
        Signed(params=f';created=1800000000;keyid="ci";nonce="{"0" * 129}"'),
        Signed(params=';created=1800000000;keyid="ci";nonce=123456789'),
        Signed(params=';created=1800000000;keyid=ci;nonce="0123456789"'),
        Signed(params=Signed.params + ";expires=1799999999"),
        Signed(params=Signed.params + ';alg="hmac-sha512"'),
        Signed(params=Signed.params + ";odd=1"),
        Signed(digest=f"md5=:{b64encode(hashlib.md5(BODY).digest()).decode()}:"),
        Signed(digest=f"sha-256=:{SHA256}:, unixsum=:{SHA256}:"),
        Signed(digest=f"sha-256=:{SHA256}:, sha-512=:{b64encode(bytes(64)).decode()}:"),
        Signed(digest=f"sha-256={SHA256}"),
        Signed(digest="sha-256=::"),
        Signed(method="post"),
    ],
    ids=str,
)
def test_a_good_signature_of_too_little_is_refused(signed: Signed) -> None:
    Door().refuses(signed.by(KEY))


def flipping(value: bytes, position: int, bit: int) -> bytes:
    changed = bytearray(value)
    changed[position % len(changed)] ^= 1 << bit
    return bytes(changed)


FLIPS: dict[str, Callable[[Sent, Callable[[bytes], bytes]], Sent]] = {
    "method": lambda sent, flip: replace(sent, method=flip(sent.method.encode()).decode("latin-1")),
    "authority": lambda sent, flip: replace(sent, authority=flip(sent.authority.encode()).decode("latin-1")),
    "path": lambda sent, flip: replace(sent, path=flip(sent.path.encode()).decode("latin-1")),
    "query": lambda sent, flip: replace(sent, query=flip(sent.query.encode()).decode("latin-1")),
    "body": lambda sent, flip: replace(sent, body=flip(sent.body)),
    "digest": lambda sent, flip: sent.having(
        content_digest=flip(sent.header("content-digest").encode()).decode("latin-1")
    ),
    "input": lambda sent, flip: sent.having(
        signature_input=flip(sent.header("signature-input").encode()).decode("latin-1")
    ),
    "signature": lambda sent, flip: sent.having(signature=f"sig1=:{b64encode(flip(mac_of(sent))).decode()}:"),
}


@given(st.sampled_from(sorted(FLIPS)), st.integers(min_value=0), st.integers(0, 7))
def test_any_bit_flipped_anywhere_is_refused(part: str, position: int, bit: int) -> None:
    door = Door()
    sent = door.signed()

    changed = FLIPS[part](sent, lambda value: flipping(value, position, bit))

    assume(changed.authority.lower() != sent.authority or part != "authority")  # host names have no case
    door.refuses(changed)


@given(st.text(), st.text())
def test_no_header_whatever_does_more_than_be_refused(signature: str, params: str) -> None:
    door = Door()
    sent = door.signed()
    headers = {"signature": signature, "signature-input": params, "content-digest": sent.header("content-digest")}

    door.refuses(replace(sent, headers=tuple((name.encode(), value.encode()) for name, value in headers.items())))


@pytest.mark.parametrize(("late_s", "good"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_clocks_may_differ_by_the_skew(late_s: float, good: bool) -> None:
    door = Door()
    door.clock.advance(1000)
    sent = door.signed(created=door.clock.now - late_s)

    if good:
        assert door.admits(sent) == "ci"
    else:
        door.refuses(sent)


def test_r_sig_1_a_replay_is_refused_for_as_long_as_its_time_is_good() -> None:
    door = Door()
    sent = door.signed(created=door.clock.now + 300)
    door.admits(sent)

    for _ in range(7):
        door.refuses(sent)
        door.clock.advance(100)


def test_a_nonce_is_used_up_for_its_own_key_alone() -> None:
    door = Door()
    door.admits(door.signed(nonce="the same nonce"))

    assert door.admits(door.signed(OTHER, nonce="the same nonce")) == "other"
    door.refuses(door.signed(url=URL.replace("/x/", "/y/"), nonce="the same nonce"))


def test_a_signature_from_before_this_process_is_refused() -> None:
    door = Door()
    sent = door.signed()
    door.admits(sent)

    door.clock.advance(5)
    restarted = Door(clock=door.clock)

    restarted.refuses(sent)
    assert restarted.admits(restarted.signed()) == "ci"


def test_a_key_that_fills_its_store_is_told_to_wait() -> None:
    door = Door(max_nonces=1)
    first = door.signed()
    door.admits(first)

    with pytest.raises(RateLimited) as limited:
        door.admits(door.signed())

    assert limited.value.retry_after_s == 601
    door.refuses(first)


def test_keys_that_cannot_be_read_are_not_the_callers_fault() -> None:
    def unreadable(key_id: str) -> SigningKey:
        raise BadConfig("the keys cannot be read")

    door = Door()
    door.signatures = Signatures(unreadable, wall=door.clock)

    with pytest.raises(BadConfig):
        door.admits(door.signed())


def test_a_revoked_key_is_an_unknown_one() -> None:
    door = Door()
    sent = door.signed()
    del door.keys["ci"]

    door.refuses(sent)


def test_a_short_secret_is_no_key() -> None:
    with pytest.raises(ValueError, match="'weak' is shorter than 32 bytes"):
        SigningKey("weak", b"changeme")


def test_what_cannot_be_signed_is_said() -> None:
    with pytest.raises(ValueError, match="cannot be signed: Invalid URL"):
        sign(KEY, "GET", "/mcp")


def test_secrets_are_in_no_text_and_reasons_are_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    door = Door()
    with caplog.at_level(logging.DEBUG):
        door.refuses(replace(door.signed(), body=b"other"))
        door.refuses(edited(door.signed(), "ci", "other"))

    assert "Content-Digest does not match" in caplog.text
    assert "thirty-two" not in caplog.text + repr(KEY)


def test_the_rfcs_own_signature_is_verified() -> None:
    """RFC 9421, appendix B.2.5: its request, its secret, its signature."""
    secret = b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
    lines = [
        ("host", "example.com"),
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        ("signature-input", VECTOR_INPUT),
        ("signature", "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:"),
    ]
    verifier = Verifier({"test-shared-secret": SigningKey("test-shared-secret", secret)}.get, lambda _: None)

    verified = verifier.verify(vector(lines), max_age=None)

    assert [result.parameters["keyid"] for result in verified] == ["test-shared-secret"]
    with pytest.raises(InvalidSignature):
        verifier.verify(vector([*lines[:2], ("content-type", "text/plain"), *lines[3:]]), max_age=None)


VECTOR_INPUT = 'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'


def vector(lines: list[tuple[str, str]]) -> Message:
    return Message("POST", "https://example.com/foo?param=Value&Pet=dog", Lines(lines))


def test_the_rfcs_own_request_signs_too_little_for_us() -> None:
    secret = b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
    door = Door(clock=Clock(1618884473), keys={"test-shared-secret": SigningKey("test-shared-secret", secret)})
    body = b'{"hello": "world"}'
    headers = {
        "host": "example.com",
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "content-type": "application/json",
        "content-digest": digest_of(body),
        "signature-input": VECTOR_INPUT,
        "signature": "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
    }
    lines = tuple((name.encode(), value.encode()) for name, value in headers.items())

    door.refuses(Sent(lines, "POST", "https", "example.com", "/foo", "param=Value&Pet=dog", body))


def recipe(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("body", [b"", BODY])
@pytest.mark.parametrize("url", ["http://gate.example:8765/api/v1/tools/x/call?a=b%20c&d"])
def test_the_recipe_for_python_works(url: str, body: bytes) -> None:
    names: dict[str, Any] = {}
    exec(recipe("python"), names)
    signatures = Signatures({"ci": KEY}.get)

    headers = names["signed"]("ci", KEY.secret, "POST", url, body)

    lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    assert signatures.verify("POST", *GATE, lines, body) == "ci"


async def test_the_recipe_for_curl_works() -> None:
    require(shutil.which("curl") is not None and shutil.which("openssl") is not None, "needs curl and openssl")
    signatures = Signatures({"ci": KEY}.get)

    async def script(request: Request, wire: Wire) -> None:
        path, _, query = request.target.partition("?")
        lines = [(name.encode(), value.encode()) for name, value in request.headers]
        host = request.header("host") or ""
        await wire.json(signatures.verify(request.verb, "http", host, path, query, lines, request.body))

    async with scripted(script) as server:
        environ = {**os.environ, "KEY_ID": "ci", "SECRET": KEY.secret.decode(), "HOST": f"127.0.0.1:{server.port}"}

        ended = await anyio.to_thread.run_sync(lambda: shell(recipe("bash"), environ))

    assert ended.stdout == '"ci"', ended.stderr


def shell(script: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, timeout=20)


def digest_of(body: bytes) -> str:
    return f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"


def key_mac(key: SigningKey, base: str) -> str:
    return b64encode(hmac.digest(key.secret, base.encode(), "sha256")).decode()


def mac_of(sent: Sent) -> bytes:
    return b64decode(sent.header("signature").removeprefix("sig1=:").removesuffix(":"))


def edited(sent: Sent, old: str, new: str) -> Sent:
    before = sent.header("signature-input")
    assert old in before
    return sent.having(signature_input=before.replace(old, new))


def without(sent: Sent, name: str) -> Sent:
    return replace(sent, headers=tuple(line for line in sent.headers if line[0] != name.encode()))
