"""An authorization server on loopback: real keys, real tokens, and a set of keys that a test may spoil."""

from __future__ import annotations

import base64
import functools
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

from tests.fakes.http_server import Request, ScriptedServer, Wire, scripted

ISSUER = "https://issuer.example"
AUDIENCE = "https://gate.example/mcp"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@functools.cache
def private_key(name: str) -> PrivateKey:
    """Made once: `rsa...`, `small rsa`, `ec...`, `p384`, `ed...`."""
    if name == "p384":
        return ec.generate_private_key(ec.SECP384R1())
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    if name.startswith("ed"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 1024 if name.startswith("small") else 2048)


def jwk(name: str, **more: Any) -> dict[str, Any]:
    """The public half, as it is published; `kid` is the key's name."""
    key = private_key(name)
    match key:
        case rsa.RSAPrivateKey():
            entry = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            entry = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case _:
            entry = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    shown = {**entry, "kid": name, **more}
    return {field: value for field, value in shown.items() if value is not None and field != "key_ops"}


def jwks(*names: str) -> bytes:
    return json.dumps({"keys": [jwk(name) for name in names]}).encode()


def token(key: str = "rsa", algorithm: str = "RS256", header: Mapping[str, Any] | None = None, /, **claims: Any) -> str:
    """An access token that is good unless `claims` or `header` say otherwise; None leaves one out."""
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 300, "scope": "read call", **claims}
    head = {"kid": key, "typ": "at+jwt", "alg": algorithm, **(header or {})}
    return jws(head, said, algorithm, private_key(key))


def jws(header: Mapping[str, Any], claims: Mapping[str, Any], algorithm: str, key: PrivateKey | bytes | None) -> str:
    """The compact form, without the library's care for what is signed with what."""
    signed = ".".join(encoded(_json(part)) for part in (header, claims))
    signature = get_default_algorithms()[algorithm].sign(signed.encode(), key)
    return f"{signed}.{encoded(signature)}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


@dataclass(slots=True)
class AuthorizationServer:
    """What a test sees of it. Bodies by path; a status instead of a body is answered as such."""

    server: ScriptedServer
    bodies: dict[str, bytes | int] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def jwks_url(self) -> str:
        return f"{self.origin}/keys"

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [request.target for request in self.server.requests]

    def publish(self, *names: str) -> None:
        self.bodies["/keys"] = jwks(*names)


@asynccontextmanager
async def authorization_server(*names: str) -> AsyncIterator[AuthorizationServer]:
    """It publishes these keys at `/keys`, and nothing else yet."""

    async def script(request: Request, wire: Wire) -> None:
        body = told.bodies.get(request.target, 404)
        if isinstance(body, int):
            await wire.whole(body, b"", location=f"{told.origin}/elsewhere")
        else:
            await wire.whole(200, body, content_type="application/json")

    async with scripted(script) as server:
        told = AuthorizationServer(server)
        told.publish(*names)
        yield told
