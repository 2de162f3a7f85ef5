"""How many connections there may be, overall and from one address, and room in the process for that many.

Addresses enter and leave; whether there is room is the answer. Nothing here knows HTTP.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

if sys.platform != "win32":
    import resource

logger = logging.getLogger(__name__)

FILES_KEPT_BACK: Final = 256
"""Open files left for upstreams, the cache and the log (our choice)."""

FILES_WANTED: Final = 8192
"""What the soft limit of open files is raised to where it is lower and the hard limit allows it (our choice)."""

WARN_EVERY_S: Final = 60.0
"""One line for many refusals (our choice)."""

MAX_LINGERING: Final = 128
"""Refused connections that get time to read why; those above are closed at once (our choice)."""

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Caps:
    """Connections open at once (our choice). `per_address` spares this machine and trusted proxies."""

    overall: int = 4096
    per_address: int = 256


class Admission:
    """Counts connections. Everything that enters leaves."""

    def __init__(self, caps: Caps, trusted: Iterable[str] = ()) -> None:
        self._caps = caps
        self._trusted = tuple(network for text in trusted if (network := _network(text)) is not None)
        self._by_address: Counter[str] = Counter()
        self._warned_s = -WARN_EVERY_S
        self.count = self.lingering = 0
        self.refused = 0

    def enter(self, address: str) -> bool:
        """Whether there is room for one more; if so, it counts until `leave`."""
        if self.count >= self._caps.overall:
            return self._refuse("all")
        if self._by_address[address] >= self._caps.per_address and not self._is_spared(address):
            return self._refuse(address)
        self.count += 1
        self._by_address[address] += 1
        return True

    def leave(self, address: str) -> None:
        self.count -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def _refuse(self, whose: str) -> bool:
        if not self._by_address[whose]:
            del self._by_address[whose]
        self.refused += 1
        now_s = time.monotonic()
        if now_s - self._warned_s >= WARN_EVERY_S:
            self._warned_s = now_s
            logger.warning("http.connections_full of=%s open=%d refused=%d", whose, self.count, self.refused)
        return False

    def _is_spared(self, address: str) -> bool:
        try:
            known = ip_address(address.partition("%")[0])
        except ValueError:
            return True  # a UNIX socket has no address
        return known.is_loopback or any(_holds(network, known) for network in self._trusted)


def room_for(caps: Caps) -> Caps:
    """The caps, or less where this process may not open so many files; raises its soft limit first."""
    files = _files_allowed()
    if files is None:
        return caps
    return Caps(min(caps.overall, max(files - FILES_KEPT_BACK, files // 2)), caps.per_address)


def _files_allowed() -> int | None:
    if sys.platform == "win32":
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has a further limit of its own
        return soft
    return wanted


def _holds(network: Network, address: IPv4Address | IPv6Address) -> bool:
    """What is of the other version is in no network."""
    return int(network.network_address) <= int(address) <= int(network.broadcast_address) and (
        network.version == address.version
    )


def _network(text: str) -> Network | None:
    """An address or a network; `*` and names of sockets, which uvicorn takes too, are none."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
