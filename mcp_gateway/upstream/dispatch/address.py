"""Where an upstream is and by which way it is reached: URL, TLS settings, proxy.

Text from the configuration enters; checked, immutable values leave. Nothing here
opens a connection.
"""

from __future__ import annotations

import functools
import ssl
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from mcp_gateway.errors import BadConfig
from mcp_gateway.security.addresses import is_forbidden as is_forbidden
from mcp_gateway.security.addresses import proxy_for as proxy_for

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How to trust an upstream and how to be known to it. `ca`, `cert` and `key` are PEM files."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Address:
    """One http or https URL. `target` is path and query; `authorization` comes from the URL's userinfo."""

    scheme: str
    host: str
    port: int
    target: str
    authorization: str | None = None

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def host_port(self) -> str:
        """The target of a CONNECT: the port is always named."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    def same_origin(self, other: Address) -> bool:
        return (self.scheme, self.host, self.port) == (other.scheme, other.host, other.port)

    def join(self, reference: str) -> Address:
        """The address a relative or absolute reference leads to. Raises ValueError."""
        return _address(urlsplit(urljoin(self.origin + self.target, reference)))


def parse_url(server: str, url: str) -> Address:
    """Check one configured URL. Raises BadConfig, which does not quote it: it may hold a password."""
    try:
        return _address(urlsplit(url))
    except ValueError as error:
        raise BadConfig(f"upstream {server!r} has a URL that cannot be used: {error}", server=server) from None


def _address(parts: SplitResult) -> Address:
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("it is neither http nor https")
    if not parts.hostname:
        raise ValueError("it names no host")
    host = parts.hostname.encode("ascii" if parts.hostname.isascii() else "idna").decode()
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or any(character <= " " or character == "\x7f" for character in target + host):
        raise ValueError("it holds characters that must be percent-encoded")
    return Address(parts.scheme, host, parts.port or _DEFAULT_PORTS[parts.scheme], target, _authorization(parts))


def _authorization(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    userinfo = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + b64encode(userinfo.encode()).decode()


@functools.lru_cache(maxsize=64)
def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """The one context shared by all connections with these settings; building one costs milliseconds.

    Raises:
        BadConfig: a file cannot be read or is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        if settings.cert is not None:
            context.load_cert_chain(settings.cert, settings.key)
    except OSError as error:
        raise BadConfig(f"the TLS files of an upstream cannot be used ({error.strerror or 'not PEM'})") from None
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
