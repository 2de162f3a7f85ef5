"""The seccomp filter in the words of container engines: the JSON of docker, which podman reads too.

It denies what `seccomp` denies and takes the place of the engine's own profile, which allows tracing and netlink.
"""

from __future__ import annotations

import json
import os

from . import seccomp

_ALL_32_BITS = 0xFFFF_FFFF
_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}

Rule = dict[str, object]


def text(*, network: bool) -> str:
    """The profile. Only the machine's own kind of system call is known to it; the engine kills on any other."""
    families = seccomp.families(network=network)
    denied = seccomp.denied()
    rules = [
        _deny(sorted(name for name, code in denied.items() if code == wanted), wanted) for wanted in {*denied.values()}
    ]
    rules += [_deny(["clone"], seccomp.EPERM, [_masked(0, bit, bit)]) for bit in _bits(seccomp.NAMESPACE_FLAGS)]
    rules += [_deny(["ioctl"], seccomp.EPERM, [_masked(1, _ALL_32_BITS, value)]) for value in seccomp.TERMINAL_INPUT]
    rules += _others("socket", families)
    rules += _others("socketpair", (seccomp.AF_UNIX,))
    rules.append(_deny(["personality"], seccomp.EPERM, [_compared(0, "SCMP_CMP_NE", 0)]))
    architecture = _ARCHITECTURES[os.uname().machine]
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [architecture], "syscalls": rules})


def _deny(names: list[str], code: int, arguments: list[Rule] | None = None) -> Rule:
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": code, "args": arguments or []}


def _masked(index: int, mask: int, value: int) -> Rule:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _others(call: str, families: tuple[int, ...]) -> list[Rule]:
    """All families but these. One rule a condition, since libseccomp takes no two conditions on one argument."""
    above = max(families) + 1
    below = [_compared(0, "SCMP_CMP_EQ", family) for family in range(above) if family not in families]
    conditions = [*below, _compared(0, "SCMP_CMP_GE", above)]
    return [_deny([call], seccomp.EAFNOSUPPORT, [condition]) for condition in conditions]


def _compared(index: int, operation: str, value: int) -> Rule:
    return {"index": index, "value": value, "op": operation}


def _bits(flags: int) -> list[int]:
    return [1 << number for number in range(flags.bit_length()) if flags >> number & 1]
