"""Where outgoing connections may go: addresses that are never dialled, and the way through a proxy.

Host names, addresses and the environment's variables enter, answers leave. Nothing here resolves or connects.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_METADATA = frozenset({"fd00:ec2::254", "100.100.100.200"})
"""Cloud metadata services outside the link-local ranges (AWS over IPv6, Alibaba Cloud)."""


def is_forbidden(host: str) -> bool:
    """True for link-local and metadata addresses, to which nothing connects; False for names."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_link_local or str(address) in _METADATA


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(written: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks as they are written. Raises ValueError."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in written)


def is_private(host: str, listed: Iterable[Network] = ()) -> bool:
    """True for addresses that are not of the public Internet and in none of the listed networks; False for names.

    The registries of RFC 6890 say which those are; shared address space (RFC 6598) is among them. What is forbidden in
    any case is not meant.
    """
    if is_forbidden(host):
        return False
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return not address.is_global and not any(address in network for network in listed)


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for this URL, or None.

    Lower-case names win, as in curl. A proxy cannot reach this machine's loopback, so
    loopback addresses are never sent to one (our choice; Go's net/http does the same).
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    name = f"{parts.scheme}_proxy"
    proxy = environ.get(name) or environ.get(name.upper())
    if not proxy or is_loopback(host):
        return None
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    if any(_exempts(entry.strip().lower(), host, port) for entry in exempt.split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """True for addresses of this machine and the names that stand for them (RFC 6761, section 6.3)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_confidential(url: str) -> bool:
    """Whether nobody on the way there reads along: https, or http that does not leave this machine (RFC 8252, 8.3)."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


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
