"""Which parts of the host every program needs and may read."""

from __future__ import annotations

import os

_ROOT_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ALWAYS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
_WITH_NETWORK = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/ssl/certs",
    "/etc/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
)


def root_entries() -> list[tuple[str, str | None]]:
    """The old top-level folders: path and where it links to, or None for a folder of its own."""
    present = [path for path in _ROOT_LINKS if os.path.lexists(path)]
    return [(path, os.readlink(path) if os.path.islink(path) else None) for path in present]


def etc_paths(*, network: bool) -> list[str]:
    wanted = _ALWAYS + (_WITH_NETWORK if network else ())
    return [path for path in wanted if os.path.exists(path)]
