"""The few kernel calls that Python does not offer, as functions that raise `OSError`."""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2

CLONE_NEWNS = 0x0002_0000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Any system call; integers are passed as longs, bytes and None as pointers."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    return _checked(int(_libc.syscall(ctypes.c_long(number), *passed)), f"system call {number}")


def prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero), f"prctl {option}")


def install_filter(program: bytes) -> None:
    """Put a seccomp filter on this process; no_new_privs must be set before."""
    fprog = _Program(len(program) // 8, program)
    zero = ctypes.c_ulong(0)
    mode = ctypes.c_ulong(SECCOMP_MODE_FILTER)
    _checked(_libc.prctl(PR_SET_SECCOMP, mode, ctypes.byref(fprog), zero, zero), "seccomp")


def unshare_mounts() -> None:
    """A mount table of this process's own, from which nothing spreads back."""
    _checked(_libc.unshare(CLONE_NEWNS), "unshare")
    mount(None, "/", None, MS_REC | MS_PRIVATE, None)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None) -> None:
    names = [None if n is None else os.fsencode(n) for n in (source, target, kind)]
    options = None if data is None else data.encode()
    _checked(_libc.mount(*names, ctypes.c_ulong(flags), options), f"mount on {target}")
