"""Where an upstream is and by which way it is reached: URL, TLS settings, proxy.

Text from the configuration enters; checked, immutable values leave. Nothing here
opens a connection.
"""

from __future__ import annotations

import functools
import ipaddress
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from mcp_gateway.errors import BadConfig

_DEFAULT_PORTS = {"http": 80, "https": 443}
_METADATA = frozenset({"fd00:ec2::254", "100.100.100.200"})
"""Cloud metadata services outside the link-local ranges (AWS over IPv6, Alibaba Cloud)."""


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


def is_forbidden(host: str) -> bool:
    """True for link-local and metadata addresses, which no upstream may have; False for names."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_link_local or str(address) in _METADATA


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for this URL, or None.

    Lower-case names win, as in curl. A proxy cannot reach this machine's loopback, so
    loopback addresses are never sent to one (our choice; Go's net/http does the same).
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    name = f"{parts.scheme}_proxy"
    proxy = environ.get(name) or environ.get(name.upper())
    if not proxy or _is_loopback(host):
        return None
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    if any(_exempts(entry.strip().lower(), host, port) for entry in exempt.split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _exempts(entry: str, host: str, port: int) -> bool:
    """One NO_PROXY entry: `*`, an address or network, or a domain with its subdomains; `:port` narrows it."""
    if not entry or entry == "*":
        return entry == "*"
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass  # at least one of the two is a name
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit():
        if int(wanted) != port:
            return False
        entry = name.strip("[]")
    domain = entry.removeprefix("*").removeprefix(".")
    return host == domain or host.endswith(f".{domain}")
