"""Signed requests: RFC 9421 with hmac-sha256, over the body through an RFC 9530 digest.

A request as it came enters, the id of the key that signed it leaves. What a signature covers, how old it may be and
that it counts once is decided here; the canonical form and the cryptography are the library's. Where keys are kept is
somebody else's business. One event loop uses an instance; nothing here waits.
"""

from __future__ import annotations

import logging
import math
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from http_message_signatures import (
    ContentDigest,
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    VerifyResult,
)
from http_message_signatures.algorithms import HMAC_SHA256

from mcp_gateway.errors import GatewayError, Unauthorized
from mcp_gateway.security import REFUSED
from mcp_gateway.security.nonces import MAX_NONCES, Nonces

logger = logging.getLogger(__name__)

COVERED: Final = ("@method", "@authority", "@path", "@query", "content-digest")
"""What every signature speaks for, without parameters; it may cover more (design, decision 4)."""
SKEW_S: Final = 300.0
"""How far a signature's time may be from ours, either way (R-SIG-1)."""
MAX_INPUT_BYTES: Final = 2048
"""Of `Signature-Input`, and of `Signature`; ours take about 200 (our choice)."""
MIN_SECRET_BYTES: Final = 32
"""As long as the hash (RFC 2104, section 3)."""

_NONCE_LENGTH: Final = range(8, 129)
"""Characters; 22 of base64 are 128 bits (our choice)."""
_MAX_KEY_ID_LENGTH: Final = 128
_ONCE: Final = ("signature", "signature-input", "content-digest")
"""Headers of which there is one line: what several would mean together is nothing a client needs."""
_LABEL: Final = "sig1"

# The library drops user names and fragments from a URL and splits it at `?`: none of these may sit inside a part.
_AUTHORITY: Final = re.compile(r"[^/?#@\\]+")
_PATH: Final = re.compile(r"(/[^?#]*)?")
_QUERY: Final = re.compile(r"[^#]*")
_HTTP: Final[Mapping[str, str]] = {"ws": "http", "wss": "https"}
"""A WebSocket opens with a request over http (RFC 6455, section 4.1); its default port is that of http."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret shared with one client; `id` is public and travels as `keyid`. Raises ValueError for a short secret."""

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < MIN_SECRET_BYTES:
            raise ValueError(f"the secret of {self.id!r} is shorter than {MIN_SECRET_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class Lines:
    """Header lines in their order, names possibly repeated, as the library wants to see them."""

    lines: Sequence[tuple[str, str]]

    def items(self) -> Iterable[tuple[str, str]]:
        return self.lines


@dataclass(frozen=True, slots=True)
class Message:
    """A request in the library's terms: an upper-case method and an absolute, percent-encoded URL."""

    method: str
    url: str
    headers: Lines | dict[str, str]


class Verifier(HTTPMessageVerifier):
    """The library's verifier for one request, with hmac-sha256 alone and our rule of time."""

    def __init__(
        self, secret_of: Callable[[str], SigningKey | None], check: Callable[[Mapping[str, Any]], None]
    ) -> None:
        super().__init__(signature_algorithm=HMAC_SHA256, key_resolver=_Keys(secret_of))
        self._check = check

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """The library calls this before it computes anything; its own rule has a clock that cannot be set."""
        self._check(sig_input.params)


class Signatures:
    """Who signed a request.

    `secret_of` gives the key of an id, None where there is none or it has ended. `wall` gives epoch seconds,
    `monotonic` seconds. Signatures made before `since_unix_s`, to the second, are refused: what was seen before is not
    known, so they might be replays. It is when this object is made, or when the process began if none was before this
    one. Keep one for the life of the process.
    """

    def __init__(
        self,
        secret_of: Callable[[str], SigningKey | None],
        skew_s: float = SKEW_S,
        *,
        since_unix_s: float | None = None,
        max_nonces: int = MAX_NONCES,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._skew_s = skew_s
        self._wall = wall
        self._since = math.floor(wall() if since_unix_s is None else since_unix_s)
        # Accepted `skew_s` early, a signature stays good for twice as long; a second more, because two clocks measure.
        self._nonces = Nonces(2 * skew_s + 1, max_nonces, monotonic)
        self._verifier = Verifier(secret_of, self._check)

    def verify(
        self,
        method: str,
        scheme: str,
        authority: str,
        path: str,
        query: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
    ) -> str:
        """The id of the key.

        `authority` is the Host header; `path` and `query` are as they came, percent-encoded, the query without `?`.

        Raises:
            Unauthorized: not signed, or not well; always in the same words.
            RateLimited: the signature is good, but more requests of this key are fresh than are remembered.
        """
        return self.admit(self.read(method, scheme, authority, path, query, headers), body)

    def read(
        self,
        method: str,
        scheme: str,
        authority: str,
        path: str,
        query: str,
        headers: Sequence[tuple[bytes, bytes]],
    ) -> VerifyResult:
        """The first half of `verify`, before a body is read: who signed it, and what its digest must be.

        Raises:
            Unauthorized: not signed, or not well.
            GatewayError: what `secret_of` raises, unchanged.
        """
        try:
            message = _message(method, scheme, authority, path, query, headers)
            (signed,) = self._verifier.verify(message, max_age=None, require_components=COVERED)
        except HTTPMessageSignaturesException as error:
            if isinstance(error.__cause__, GatewayError):
                raise error.__cause__ from None  # of `secret_of`: the library wraps everything
            raise _refused(error) from None
        return signed

    def admit(self, signed: VerifyResult, body: bytes) -> str:
        """The second half: the id of the key, when the body is the one that was signed and this is its first time.

        Raises:
            Unauthorized: another body, or seen before.
            RateLimited: more requests of this key are fresh than are remembered.
        """
        key_id = str(signed.parameters["keyid"])
        try:
            ContentDigest.verify(signed.covered_components['"content-digest"'], body)
            if not self._nonces.admit(key_id, str(signed.nonce)):
                raise InvalidSignature("the nonce was used before")
        except HTTPMessageSignaturesException as error:
            raise _refused(error) from None
        return key_id

    def _check(self, parameters: Mapping[str, Any]) -> None:
        """The rules of `created`, `expires`, `nonce` and `keyid`; their types were checked by the library."""
        now = self._wall()
        created, expires = parameters.get("created"), parameters.get("expires")
        if created is None or abs(now - created) > self._skew_s:
            raise InvalidSignature("it is not of this time")
        if created < self._since:
            raise InvalidSignature("it is older than this process, which cannot tell whether it was used before")
        if expires is not None and expires < now:
            raise InvalidSignature("it has expired")
        if len(parameters.get("nonce", "")) not in _NONCE_LENGTH:
            raise InvalidSignature("its nonce is missing, too short or too long")
        if len(parameters.get("keyid", "")) > _MAX_KEY_ID_LENGTH:
            raise InvalidSignature("its keyid is too long")


def sign(
    key: SigningKey,
    method: str,
    url: str,
    body: bytes = b"",
    *,
    created: float | None = None,
    nonce: str | None = None,
) -> dict[str, str]:
    """The three headers that sign a request; `created` is in epoch seconds, now by default.

    `url` is absolute and encoded; its host and port must be those of the Host header. Raises ValueError.
    """
    headers: dict[str, str] = {}
    at = datetime.now(UTC) if created is None else datetime.fromtimestamp(created, UTC)
    signer = HTTPMessageSigner(signature_algorithm=HMAC_SHA256, key_resolver=_Keys(lambda _: key))
    try:
        signer.sign(
            Message(method.upper(), url, headers),
            key_id=key.id,
            created=at,
            nonce=nonce or secrets.token_urlsafe(18),
            label=_LABEL,
            include_alg=False,
            covered_component_ids=COVERED,
            body=body,
        )
    except HTTPMessageSignaturesException as error:
        raise ValueError(f"the request cannot be signed: {error}") from None
    return headers


class _Keys(HTTPSignatureKeyResolver):
    """Unknown ids get a secret that nobody knows, so that they take as long as a wrong signature."""

    def __init__(self, secret_of: Callable[[str], SigningKey | None]) -> None:
        self._secret_of = secret_of
        self._decoy = secrets.token_bytes(32)

    def resolve_public_key(self, key_id: str) -> bytes:
        key = self._secret_of(key_id)
        return self._decoy if key is None else key.secret

    def resolve_private_key(self, key_id: str) -> bytes:
        return self.resolve_public_key(key_id)


def _message(
    method: str, scheme: str, authority: str, path: str, query: str, headers: Sequence[tuple[bytes, bytes]]
) -> Message:
    """Raises InvalidSignature for what a signature could not speak for without doubt."""
    if not (_AUTHORITY.fullmatch(authority) and _PATH.fullmatch(path) and _QUERY.fullmatch(query)):
        raise InvalidSignature("the address of the request has more than one reading")
    lines = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]
    for once in _ONCE:
        values = [value for name, value in lines if name == once]
        if len(values) != 1:
            raise InvalidSignature(f"there are {len(values)} lines of {once}, not one")
        if len(values[0]) > MAX_INPUT_BYTES:
            raise InvalidSignature(f"{once} is too long")
    url = f"{_HTTP.get(scheme, scheme)}://{authority}{path}"
    return Message(method, f"{url}?{query}" if query else url, Lines(lines))


def _refused(error: Exception) -> Unauthorized:
    logger.info("signature.refused reason=%r", str(error)[:200])
    return Unauthorized(REFUSED)
