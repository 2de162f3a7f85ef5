"""The probe table: what a hostile program tries, and how to tell whether it got through.

A probe is a small Python program. It reads its targets from `G` (see `ground.Ground.targets`) and calls `escaped()` when
it sees itself get through; what can be seen from outside (a listener, a file, a living process) is judged there instead.
`Alone` says what happens with no sandbox at all, which is how the probes themselves are checked.
"""

# ruff: noqa: E501 - a table, one row a line
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .ground import DISK_BYTES, MEMORY_BYTES, OPEN_FILES, OUTPUT_BYTES, PIDS, WALL_S, Ground, Result

OVERSHOOT = 1.3
"""A probe of a limit has escaped when it got past the limit by more than this factor."""
MAX_FILES = 20_000
MUCH = 3


class Alone(StrEnum):
    ESCAPES = "escapes"
    HOLDS = "holds"
    """The host itself stops it, or may (depending on its settings)."""
    NOT_TRIED = "not tried"
    """It would harm the machine or the test run."""


Judge = Callable[[Ground, Result], bool]


@dataclass(frozen=True, slots=True)
class Probe:
    kind: str
    name: str
    code: str
    judge: Judge
    alone: Alone = Alone.ESCAPES

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


PRELUDE = """
import ctypes, errno, fcntl, json, mmap, os, resource, signal, socket, sys, threading, time
G = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def escaped(what="x"):
    print("ESCAPED", what, flush=True)
def attempt(act, *arguments):
    try:
        return act(*arguments)
    except Exception as error:
        print(type(error).__name__, error, file=sys.stderr)
def show(path):
    with open(path, "rb") as file:
        print(file.read(65536), flush=True)
def reach(amount):
    print("REACHED", amount, flush=True)
def call(name, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(G["syscalls"][name], *[ctypes.c_long(a) for a in arguments])
    if ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
        escaped(name)
    return result
"""


def said(_: Ground, result: Result) -> bool:
    return b"ESCAPED" in result.stdout


def told(ground: Ground, result: Result) -> bool:
    return ground.secret in result.stdout + result.stderr


def reached(limit: float) -> Judge:
    def judge(_: Ground, result: Result) -> bool:
        amounts = [float(line.split()[1]) for line in result.stdout.splitlines() if line.startswith(b"REACHED ")]
        return max(amounts, default=0.0) > limit * OVERSHOOT

    return judge


def unless_killed_by(name: str, within_s: float) -> Judge:
    return lambda _, result: result.killed_by != name or result.duration_s > within_s


def read(name: str, code: str, judge: Judge = told, alone: Alone = Alone.ESCAPES) -> Probe:
    return Probe("read", name, code, judge, alone)


READ = [
    read("shadow passwords", "for p in ('/etc/shadow', '/etc/sudoers'):\n  if attempt(lambda: open(p).read()): escaped()", said),
    read("a private file", "attempt(show, G['config'])"),
    read("a private folder", "attempt(os.listdir, G['private']) and escaped()", said),
    read("another program's temporary file", "attempt(show, G['temp_file'])"),
    read(
        "traces of the machine",
        "for p in ('/var/log', '/boot', '/root', '/home'):\n  if attempt(os.listdir, p): escaped(p)\n"
        "attempt(lambda: open('/etc/machine-id').read()) and escaped()",
        said,
    ),
    read(
        "every environment in sight",
        "for p in attempt(os.listdir, '/proc') or ():\n  if p.isdigit(): attempt(show, f'/proc/{p}/environ')",
    ),
    read("the gateway's environment", "attempt(show, f\"/proc/{G['pid']}/environ\")"),
    read("the gateway's command line", "attempt(show, f\"/proc/{G['pid']}/cmdline\")"),
    read("the gateway's memory", "attempt(os.open, f\"/proc/{G['pid']}/mem\", os.O_RDONLY) and escaped()", said),
    read("the gateway's root folder", "attempt(os.listdir, f\"/proc/{G['pid']}/root/\") and escaped()", said),
    read("the gateway's working folder", "attempt(os.listdir, f\"/proc/{G['pid']}/cwd/\") and escaped()", said),
    read("the gateway's descriptors", "attempt(os.listdir, f\"/proc/{G['pid']}/fd\") and escaped()", said),
    read(
        "process 1 and the parent",
        "for p in (1, os.getppid()):\n  attempt(show, f'/proc/{p}/environ'); attempt(show, f'/proc/{p}/cmdline')\n"
        "  for n in attempt(os.listdir, f'/proc/{p}/fd') or ():\n"
        "    try: d = os.open(f'/proc/{p}/fd/{n}', os.O_RDONLY | os.O_NONBLOCK); print(os.read(d, 4096))\n"
        "    except OSError: pass",
        alone=Alone.HOLDS,
    ),
    read(
        "inherited descriptors",
        "for d in range(3, 4096):\n  try: os.fstat(d); escaped(d)\n  except OSError: pass",
        said,
    ),
    read("a symbolic link out of the working folder", "attempt(show, 'link')"),
    read("a hard link out of the working folder", "attempt(os.link, G['config'], 'hard'); attempt(show, 'hard')", alone=Alone.HOLDS),
    read(
        "variables of the caller",
        "known = set('PATH HOME LANG TMPDIR PWD LC_CTYPE SHLVL _ GIT_CONFIG_NOSYSTEM HOSTNAME TERM container'.split())\n"
        "for n in set(os.environ) - known: escaped(n)",
        said,
    ),
]  # fmt: skip


def marked(ground: Ground, _: Result) -> bool:
    return ground.marks_found()


def write(name: str, code: str, judge: Judge = marked, alone: Alone = Alone.ESCAPES) -> Probe:
    return Probe("write", name, code, judge, alone)


WRITE = [
    write("system folders", "for p in G['system_marks']: attempt(lambda: open(p, 'w').close())"),
    write("through a symbolic link", "attempt(lambda: open('outside/' + G['mark'], 'w').close())"),
    write("the host's temporary folder", "attempt(lambda: open('/tmp/' + G['mark'], 'w').close())"),
    write("the host's shared memory", "attempt(lambda: open('/dev/shm/' + G['mark'], 'w').close())"),
    write(
        "a read-only mount made writable",
        "for p in (b'/usr', b'/'):\n  libc.mount(None, p, None, ctypes.c_ulong(32 | 4096), None) == 0 and escaped()",
        said,
        Alone.NOT_TRIED,
    ),
    write("the runner's executable", "attempt(lambda: open(G['runner'], 'r+b').close() or escaped())", said),
    write(
        "mode and times of a private file",
        "attempt(os.chmod, G['config'], 0o777); attempt(os.utime, G['config'], (1, 1))",
        lambda ground, _: ground.config_touched(),
    ),
]


def gateway_dead(ground: Ground, _: Result) -> bool:
    return ground.stand_in.poll() is not None


def silent(_: Ground, result: Result) -> bool:
    return b"SURVIVED" not in result.stdout


def process(name: str, code: str, judge: Judge = said, alone: Alone = Alone.ESCAPES) -> Probe:
    return Probe("process", name, code, judge, alone)


_DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        {before}
        os.execv('/usr/bin/python3', ['python3', '-c', 'import time; time.sleep({sleep_s})', G['mark']])
    os._exit(0)
time.sleep(0.2)
print('started')
"""
PROCESS = [
    process("kill the gateway", "attempt(os.kill, G['pid'], 9); time.sleep(0.1)", gateway_dead),
    process(
        "kill the parent",
        "attempt(os.kill, os.getppid(), 9); time.sleep(0.1); print('SURVIVED')",
        silent,
        Alone.NOT_TRIED,
    ),
    process("kill the own group", "os.kill(0, 9)", gateway_dead, Alone.HOLDS),
    process("kill everyone", "attempt(os.kill, -1, 9)", gateway_dead, Alone.NOT_TRIED),
    process("trace the gateway", "libc.ptrace(16, G['pid'], 0, 0) == 0 and escaped()"),
    process(
        "leave a daemon behind",
        _DAEMON.format(before="[os.dup2(os.open('/dev/null', 2), n) for n in (0, 1, 2)]", sleep_s=30),
        lambda ground, _: ground.survivor_found(),
    ),
    process(
        "leave a daemon that keeps the output open",
        _DAEMON.format(before="pass", sleep_s=WALL_S - 0.5),
        lambda ground, result: ground.survivor_found() or result.duration_s > WALL_S - 1,
    ),
    process("real-time priority", "attempt(lambda: os.sched_setscheduler(0, 1, os.sched_param(9)) or escaped())"),
    process("be spared when memory runs out", "attempt(lambda: open('/proc/self/oom_score_adj', 'wb', 0).write(b'-999') and escaped())", alone=Alone.HOLDS),
]  # fmt: skip


def limit(name: str, code: str, judge: Judge, alone: Alone = Alone.ESCAPES) -> Probe:
    return Probe("limits", name, code, judge, alone)


_FILL = """
block = b'x' * 1048576
total, number = 0, 0
kept = []
while total < {much}:
    file = open(f'{folder}{{number}}', 'wb', buffering=0)
    {after_open}
    for _ in range({blocks}):
        total += file.write(block)
        reach(total)
    {after_write}
    number += 1
"""
_TO_MUCH_DISK = DISK_BYTES * MUCH
LIMITS = [
    limit(
        "processes",
        f"for i in range({PIDS * MUCH}):\n  if os.fork() == 0: time.sleep(2); os._exit(0)\n  reach(i + 1)\n",
        reached(PIDS),
    ),
    limit(
        "threads",
        f"for i in range({PIDS * MUCH}):\n  threading.Thread(target=time.sleep, args=(1,), daemon=True).start(); reach(i + 1)\n",
        reached(PIDS),
    ),
    limit(
        "memory of one process",
        f"kept = []\nfor i in range({MEMORY_BYTES * MUCH >> 23}):\n  kept.append(b'x' * (1 << 23)); reach(i << 23)",
        reached(MEMORY_BYTES),
    ),
    limit(
        "memory of many processes",
        f"r, w = os.pipe()\nfor i in range(6):\n  if os.fork() == 0:\n"
        f"    kept = b'x' * {MEMORY_BYTES // 2}; os.write(w, b'x'); time.sleep(2); os._exit(0)\n"
        f"os.close(w)\nn = 0\nwhile os.read(r, 1):\n  n += 1; reach(n * {MEMORY_BYTES // 2})",
        reached(MEMORY_BYTES),
    ),
    limit(
        "shared memory",
        f"m = mmap.mmap(-1, {MEMORY_BYTES * MUCH})\nfor i in range(0, len(m), 4096):\n"
        f"  m[i] = 1\n  if i % (1 << 22) == 0: reach(i); time.sleep(0.005)",
        reached(MEMORY_BYTES),
    ),
    limit(
        "anonymous files",
        f"d = os.memfd_create('x'); total = 0; block = b'x' * (1 << 20)\n"
        f"while total < {MEMORY_BYTES * MUCH}:\n  total += os.write(d, block); reach(total)\n"
        f"  if total % (1 << 25) == 0: d = os.memfd_create('x')",
        reached(MEMORY_BYTES),
    ),
    limit(
        "fill the temporary folder",
        "import tempfile\n" + _FILL.format(much=_TO_MUCH_DISK, folder="{tempfile.gettempdir()}/f", blocks=8,
                                           after_open="pass", after_write="time.sleep(0.01)"),
        reached(DISK_BYTES),
    ),
    limit(
        "fill the working folder with few files",
        _FILL.format(much=_TO_MUCH_DISK, folder="f", blocks=8, after_open="pass", after_write="time.sleep(0.01)"),
        reached(DISK_BYTES),
    ),
    limit(
        "fill the working folder with many files",
        _FILL.format(much=_TO_MUCH_DISK, folder="f", blocks=1, after_open="pass", after_write="time.sleep(0.002)"),
        reached(DISK_BYTES),
    ),
    limit(
        "fill the disk with deleted files",
        _FILL.format(much=_TO_MUCH_DISK, folder="f", blocks=8, after_open="os.unlink(file.name); kept.append(file)",
                     after_write="time.sleep(0.03)"),
        reached(DISK_BYTES),
    ),
    limit(
        "use up inodes",
        "for i in range(30000):\n  os.close(os.open(f'i{i}', os.O_CREAT | os.O_WRONLY))\n  if i % 500 == 0: reach(i); time.sleep(0.005)",
        reached(MAX_FILES),
    ),
    limit("endless output", "while True: print('y' * 999)", lambda _, r: r.killed_by != "output" or len(r.stdout) > OUTPUT_BYTES, Alone.NOT_TRIED),
    limit(
        "endless complaints",
        "while True: print('y' * 999, file=sys.stderr)",
        lambda _, r: r.killed_by != "output" or len(r.stderr) > OUTPUT_BYTES + 100,
        Alone.NOT_TRIED,
    ),
    limit(
        "time, deaf to signals",
        "for n in range(1, 32):\n  if n not in (9, 19): signal.signal(n, signal.SIG_IGN)\nwhile True: time.sleep(1)",
        unless_killed_by("wall", WALL_S + 1),
        Alone.NOT_TRIED,
    ),
    limit(
        "processor time on all cores",
        "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nfor i in range(4):\n  if os.fork() == 0: break\nwhile True: pass",
        unless_killed_by("cpu", WALL_S + 1),
        Alone.NOT_TRIED,
    ),
    limit("core dumps", "resource.getrlimit(resource.RLIMIT_CORE)[1] != 0 and escaped()", said),
    limit("raise a limit", "attempt(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)) or escaped())", said),
    limit("open files", "kept = []\nfor i in range(1000): kept.append(open('/dev/null')); reach(i)", reached(OPEN_FILES), Alone.HOLDS),
]  # fmt: skip


def connected(ground: Ground, _: Result) -> bool:
    return ground.was_reached()


def network(name: str, code: str, judge: Judge = connected, alone: Alone = Alone.ESCAPES) -> Probe:
    return Probe("network", name, code, judge, alone)


_FAMILY = "attempt(lambda: socket.socket({}, {}, {}).close() or escaped())"
NETWORK = [
    network("TCP to loopback, version 4", "attempt(socket.create_connection, ('127.0.0.1', G['port4']), 1)"),
    network("TCP to loopback, version 6", "attempt(socket.create_connection, ('::1', G['port6']), 1)"),
    network("UDP to loopback", "attempt(lambda: socket.socket(2, 2).sendto(b'x', ('127.0.0.1', G['udp'])))"),
    network(
        "any route", "attempt(lambda: socket.socket(2, 2).connect(('192.0.2.1', 9)) or escaped())", said, Alone.HOLDS
    ),
    network("a Unix socket by path", "attempt(lambda: socket.socket(1).connect(G['unix']))"),
    network("an abstract Unix socket", "attempt(lambda: socket.socket(1).connect('\\0' + G['abstract']))"),
    network("System V shared memory", "libc.shmget(G['shm_key'], 0, 0) >= 0 and escaped()", said),
    network("packet sockets", _FAMILY.format(17, 3, 768), said),
    network("raw sockets", _FAMILY.format(2, 3, 1), said),
    network("virtual machine sockets", _FAMILY.format(40, 1, 0), said, Alone.HOLDS),
    network("kernel crypto sockets", _FAMILY.format(38, 5, 0), said, Alone.HOLDS),
    network("netlink sockets", _FAMILY.format(16, 3, 0), said),
]


def kernel(name: str, code: str, alone: Alone = Alone.ESCAPES) -> Probe:
    return Probe("kernel", name, code, said, alone)


_NEW_USER = 0x1000_0000
KERNEL = [
    kernel(
        "capabilities",
        "h = (ctypes.c_uint32 * 2)(0x20080522, 0); d = (ctypes.c_uint32 * 6)()\n"
        "libc.capget(h, d) == 0 and (d[0] or d[1] or d[3] or d[4]) and escaped(list(d))",
    ),
    kernel("no new privileges is off", "libc.prctl(39, 0, 0, 0, 0) != 1 and escaped()"),
    kernel("no seccomp filter", "libc.prctl(21, 0, 0, 0, 0) != 2 and escaped()"),
    kernel("be root", "os.getuid() == 0 and escaped()"),
    kernel("become root", "attempt(lambda: os.setuid(0) or escaped())"),
    kernel(
        "become root by a setuid program",
        "import subprocess\nfor p in ('/usr/bin/su', '/bin/su'):\n"
        "  r = attempt(subprocess.run, [p, '-s', '/bin/sh', '-c', 'id -u', 'root'], 0)\n"
        "out = os.popen('su -s /bin/sh -c \"id -u\" root 2>/dev/null </dev/null').read()\nout.strip() == '0' and escaped()",
    ),
    kernel("mount", "libc.mount(b'x', b'.', b'tmpfs', 0, None) == 0 and escaped()", Alone.NOT_TRIED),
    kernel("a nested user namespace", f"libc.unshare({_NEW_USER}) == 0 and escaped()"),
    kernel("a nested user namespace by clone", f"p = call('clone', {_NEW_USER} | 17, 0, 0, 0, 0)\nif p == 0: os._exit(0)"),
    kernel("a nested user namespace by clone3", "call('clone3', 0, 0)"),
    kernel("enter a namespace", "call('setns', -1, 0)"),
    kernel("change the root", "attempt(lambda: os.chroot('.') or escaped())"),
    kernel(
        "devices",
        "for n in 'kmsg mem port kvm fuse net/tun vda sda nvme0n1 loop-control mapper/control'.split():\n"
        "  attempt(lambda: os.close(os.open('/dev/' + n, os.O_RDONLY | os.O_NONBLOCK)) or escaped(n))",
    ),
    kernel("make a device", "attempt(lambda: os.mknod('d', 0o20666, os.makedev(1, 3)) or escaped())"),
    kernel(
        "kernel settings",
        "for p in ('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/proc/sys/vm/drop_caches'):\n"
        "  attempt(lambda: open(p, 'w').close() or escaped(p))",
    ),
    kernel("control groups", "attempt(os.listdir, '/sys/fs/cgroup') and escaped()"),
    kernel("trace system calls", "call('ptrace', 0, 0, 0, 0)"),
    kernel("key rings", "call('keyctl', 0, -3, 0)"),
    kernel("bpf", "call('bpf', 0, 0, 0)"),
    kernel("performance events", "call('perf_event_open', 0, 0, 0, 0, 0)"),
    kernel("user faults", "call('userfaultfd', 1)", Alone.HOLDS),
    kernel("io_uring", "call('io_uring_setup', 0, 0)"),
    kernel("open by handle", "call('open_by_handle_at', -1, 0, 0)"),
    kernel("compare processes", "call('kcmp', 1, 1, 99, 0, 0)", Alone.HOLDS),
    kernel("read another's memory", "call('process_vm_readv', G['pid'], 0, 0, 0, 0, 0)"),
    kernel("load a module", "call('finit_module', -1, 0, 0)", Alone.HOLDS),
    kernel(
        "type into a terminal",
        "import pty\ndef type_in():\n  m, s = os.openpty(); fcntl.ioctl(s, 0x5412, b'x'); escaped()\nattempt(type_in)",
    ),
    kernel("the host's name", "attempt(lambda: socket.sethostname(socket.gethostname()) or escaped())"),
]  # fmt: skip

ALL = [*READ, *WRITE, *PROCESS, *LIMITS, *NETWORK, *KERNEL]
