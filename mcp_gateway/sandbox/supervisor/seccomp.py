"""A classic BPF filter for seccomp, assembled by hand: lists of system calls in, bytes out.

Everything is allowed but what stands below: calls that change namespaces, mounts, modules, clocks or other processes,
calls with a history of kernel holes, and sockets of families that a run has no business with. Numbers are those of
asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64); from 424 on all architectures share them.
"""

from __future__ import annotations

import os
import struct

AF_UNIX = 1
AF_INET = 2
AF_INET6 = 10
AF_NETLINK = 16

EPERM = 1
ENOSYS = 38
EAFNOSUPPORT = 97
_PRETEND = 0

_ALLOW = 0x7FFF_0000
_ERRNO = 0x0005_0000
_KILL_PROCESS = 0x8000_0000
_LOAD_WORD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_SET = 0x45
_RETURN = 0x06
_AT_NUMBER = 0
_AT_ARCH = 4
_AT_ARGUMENTS = 16
_X32_BIT = 0x4000_0000
NAMESPACE_FLAGS = 0x7E02_0080
"""All CLONE_NEW* flags of linux/sched.h."""
TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX of asm-generic/ioctls.h: typing into a terminal."""

_SHARED = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "process_mrelease": 448,
    "fchmodat2": 452,
    "statmount": 457,
    "listmount": 458,
    "setxattrat": 463,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_setattr": 469,
}
_X86_64 = _SHARED | {
    "ioctl": 16, "shmget": 29, "socket": 41, "socketpair": 53, "clone": 56, "kill": 62, "semget": 64, "msgget": 68,
    "chmod": 90, "chown": 92, "lchown": 94, "ptrace": 101, "syslog": 103, "rt_sigqueueinfo": 129, "utime": 132,
    "uselib": 134, "personality": 135, "ustat": 136, "sysfs": 139, "vhangup": 153, "modify_ldt": 154,
    "pivot_root": 155, "_sysctl": 156, "adjtimex": 159, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165,
    "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171,
    "iopl": 172, "ioperm": 173, "create_module": 174, "init_module": 175, "delete_module": 176, "get_kernel_syms": 177,
    "query_module": 178, "quotactl": 179, "nfsservctl": 180, "setxattr": 188, "lsetxattr": 189, "removexattr": 197,
    "lremovexattr": 198, "tkill": 200, "lookup_dcookie": 212, "clock_settime": 227, "tgkill": 234, "utimes": 235,
    "vserver": 236, "mq_open": 240, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
    "migrate_pages": 256, "fchownat": 260, "futimesat": 261, "fchmodat": 268, "unshare": 272, "move_pages": 279,
    "utimensat": 280, "rt_tgsigqueueinfo": 297, "perf_event_open": 298, "fanotify_init": 300,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "memfd_create": 319, "kexec_file_load": 320,
    "bpf": 321, "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = _SHARED | {
    "setxattr": 5, "lsetxattr": 6, "removexattr": 14, "lremovexattr": 15, "lookup_dcookie": 18, "ioctl": 29,
    "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "fchmodat": 53, "fchownat": 54, "vhangup": 58,
    "quotactl": 60, "utimensat": 88, "acct": 89, "personality": 92, "unshare": 97, "kexec_load": 104,
    "init_module": 105, "delete_module": 106, "clock_settime": 112, "syslog": 116, "ptrace": 117, "kill": 129,
    "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "reboot": 142, "sethostname": 161, "setdomainname": 162,
    "settimeofday": 170, "adjtimex": 171, "mq_open": 180, "msgget": 186, "semget": 190, "shmget": 194, "socket": 198,
    "socketpair": 199, "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220, "swapon": 224, "swapoff": 225,
    "migrate_pages": 238, "move_pages": 239, "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "fanotify_init": 262,
    "name_to_handle_at": 264, "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270,
    "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "memfd_create": 279, "bpf": 280, "userfaultfd": 282,
    "kexec_file_load": 294,
}  # fmt: skip
_MACHINES = {"x86_64": (0xC000_003E, _X86_64), "aarch64": (0xC000_00B7, _AARCH64)}
"""AUDIT_ARCH_* of linux/audit.h and the table of each machine."""

_SIGNALS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal")
_BY_PATH = (
    "chmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "lchown",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
    "setxattr",
    "lsetxattr",
    "setxattrat",
    "removexattr",
    "lremovexattr",
    "removexattrat",
    "file",
    "setattr",
)
_ABSENT = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_secret")
_CONDITIONAL = ("clone", "ioctl", "socket", "socketpair", "personality", "memfd_create")


def supported() -> bool:
    return os.uname().machine in _MACHINES


def numbers() -> dict[str, int]:
    """The system calls known here, by name, as this machine numbers them."""
    return dict(_MACHINES[os.uname().machine][1])


def families(*, network: bool) -> tuple[int, ...]:
    """What a run with a network namespace may open: of Unix sockets only its own can be reached there."""
    return (AF_INET, AF_INET6, AF_NETLINK) if network else (AF_UNIX,)


def denied() -> dict[str, int]:
    """Calls that are denied whatever their arguments, where nobody counts anonymous files, and the error of each."""
    known = numbers().keys() - {*_CONDITIONAL, *_SIGNALS, *_BY_PATH}
    return {name: ENOSYS if name in _ABSENT else EPERM for name in known} | {"memfd_create": ENOSYS}


def build(families: tuple[int, ...], *, memfd: bool = True, signals: bool = True, by_path: bool = True) -> bytes:
    """The filter as an array of `struct sock_filter`.

    families: what `socket` may open. memfd: whether anonymous files are allowed (they are memory that only a cgroup
    sees). signals, by_path: False takes away sending signals, and pretends to change owner, mode and times by path,
    for kernels and users where Landlock does not confine them.
    """
    arch, known = _MACHINES[os.uname().machine]
    code = [
        _instruction(_LOAD_WORD, _AT_ARCH),
        _instruction(_JUMP_EQUAL, arch, 1, 0),
        _instruction(_RETURN, _KILL_PROCESS),
        _instruction(_LOAD_WORD, _AT_NUMBER),
        _instruction(_JUMP_SET, _X32_BIT, 0, 1),
        _instruction(_RETURN, _KILL_PROCESS),
    ]
    optional = () if signals else _SIGNALS
    for name, number in known.items():
        if name in _CONDITIONAL or (name in (*_SIGNALS, *_BY_PATH) and name not in optional):
            continue
        code += _deny(number, ENOSYS if name in _ABSENT else EPERM)
    if not by_path:
        for name in _BY_PATH:
            if name in known:
                code += _deny(known[name], _PRETEND)
    if not memfd:
        code += _deny(known["memfd_create"], ENOSYS)
    code += _deny_if(known["clone"], 0, [_instruction(_JUMP_SET, NAMESPACE_FLAGS, 0, 1)], EPERM)
    code += _deny_if(known["ioctl"], 1, _one_of(*TERMINAL_INPUT), EPERM)
    code += _deny_if(known["socket"], 0, _none_of(*families), EAFNOSUPPORT)
    code += _deny_if(known["socketpair"], 0, _none_of(AF_UNIX), EAFNOSUPPORT)
    code += _deny_if(known["personality"], 0, _none_of(0, 0xFFFF_FFFF), EPERM)
    code.append(_instruction(_RETURN, _ALLOW))
    return b"".join(code)


def _instruction(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value)


def _deny(number: int, code: int) -> list[bytes]:
    return [_instruction(_JUMP_EQUAL, number, 0, 1), _instruction(_RETURN, _ERRNO | code)]


def _deny_if(number: int, argument: int, test: list[bytes], code: int) -> list[bytes]:
    """Deny when `test` on the low word of an argument falls through to its end; else go on behind the block."""
    body = [
        _instruction(_LOAD_WORD, _AT_ARGUMENTS + 8 * argument),
        *test,
        _instruction(_RETURN, _ERRNO | code),
        _instruction(_LOAD_WORD, _AT_NUMBER),
    ]
    return [_instruction(_JUMP_EQUAL, number, 0, len(body)), *body]


def _one_of(*values: int) -> list[bytes]:
    """Fall through to the denial on the first equal value; behind it when there is none."""
    last = len(values) - 1
    return [_instruction(_JUMP_EQUAL, v, last - i, 0 if i < last else 1) for i, v in enumerate(values)]


def _none_of(*values: int) -> list[bytes]:
    """Jump over the denial on an equal value; fall through to it when there is none."""
    return [_instruction(_JUMP_EQUAL, v, len(values) - i, 0) for i, v in enumerate(values)]
