"""Landlock: which paths a process and its children may use, and no TCP, foreign signals or abstract sockets.

Three raw system calls (their numbers are the same on every architecture). It does not cover metadata (mode, owner,
times), Unix sockets by path, UDP and System V IPC: `seccomp` takes those away.
"""

from __future__ import annotations

import os
import stat
import struct

from . import linux

MIN_ABI = 4
"""Below, TCP is not confined: refused."""
FULL_ABI = 6
"""From here on signals and abstract sockets are confined too (Linux 6.12)."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE = 1 << 14
_IOCTL_DEV = 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_ALL_NET = 3
_ALL_SCOPES = 3

READ = _EXECUTE | _READ_FILE | _READ_DIR
DEVICE = _READ_FILE | _WRITE_FILE | _TRUNCATE


def abi() -> int:
    """The kernel's version of the interface; 0 where Landlock is absent or switched off."""
    try:
        return linux.syscall(_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def restrict(rules: list[tuple[str, int]], *, network: bool) -> None:
    """Confine this process for good. `rules`: path and rights; missing paths are skipped."""
    version = abi()
    rights = write_all(version)
    net = 0 if network else _ALL_NET
    scopes = _ALL_SCOPES if version >= FULL_ABI else 0
    attributes = struct.pack("=QQQ", rights, net, scopes)
    size = 24 if version >= FULL_ABI else 16
    ruleset = linux.syscall(_CREATE_RULESET, attributes, size, 0)
    for path, access in rules:
        _allow(ruleset, path, access & rights)
    linux.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def write_all(version: int) -> int:
    """Every file right that this version knows: 13 at first, one more with each of versions 2, 3 and 5."""
    return (1 << 13) - 1 | (1 << 13) | _TRUNCATE | (_IOCTL_DEV if version >= 5 else 0)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(beneath).st_mode):
        access &= _ON_FILES
    linux.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", access, beneath), 0)
    os.close(beneath)
