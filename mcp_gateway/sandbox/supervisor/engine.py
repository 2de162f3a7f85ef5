"""One container from before its start to after its end: its files, what the engine says of it, and taking it away."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time

from . import container, processes, profile
from .confine import Identity
from .spec import Engine, Spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_ANSWERS_WITHIN_S = 10.0
_ASK_EVERY_S = 0.3
"""Until the first process is known: after most short runs, which their limits in the kernel hold (our choice)."""
_LEAVES_WITHIN_S = 0.5
"""What the engine leaves running tidies up after a container; cut short it would leave its control group behind."""
_STARTS_WITHIN_S = 2.0
_NOTE = "oom"
"""What conmon 2.1 writes on version 1 control groups, where podman 4 does not look for it (tried, 2026-11-24)."""
_ENGINE_CODES = (125, 126, 127)
"""Exit statuses of the engine's own and of env(1): only the engine knows whose."""
_KILLED = 137


class Container:
    """The container of one run. `remove` it whatever happened."""

    def __init__(self, spec: Spec, engine: Engine, identity: Identity, threads: int) -> None:
        self._spec, self._engine = spec, engine
        self._user, self._threads = f"{identity.uid}:{identity.gid}", threads
        self._folder = tempfile.mkdtemp(prefix=container.NAME)  # 0700
        self._name = f"{container.NAME}{os.getpid()}-{os.urandom(8).hex()}"
        self._first_pid, self._next_question_s = 0, time.monotonic() + _ASK_EVERY_S
        self.never_ran = self.ran_out_of_memory = False

    def command(self) -> list[str]:
        """What to execute, from a working folder of its own: podman's monitor leaves notes where it was started."""
        os.chdir(self._folder)
        files = f"{self._folder}/environment", f"{self._folder}/seccomp.json"
        texts = container.environment(self._spec.env), profile.text(network=self._spec.network)
        for path, text in zip(files, texts, strict=True):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
        return container.run(self._spec, self._engine, self._name, self._user, self._threads, files)

    @property
    def environment(self) -> dict[str, str]:
        return self._engine.env

    def living(self) -> list[processes.Process]:
        """The processes inside. Those of a daemon's container are not below us: the daemon is asked for the first."""
        if self._engine.is_podman:
            return processes.nested(processes.descendants(os.getpid()))
        now_s = time.monotonic()
        if not self._first_pid and now_s >= self._next_question_s:
            answer = self._ask(container.first_process(self._engine.path, self._name))
            self._first_pid = int(answer.strip() or 0)
            self._next_question_s = now_s + _ASK_EVERY_S
        return processes.family(self._first_pid) if self._first_pid else []

    def judge(self, code: int) -> None:
        """Learn what the engine's exit status alone does not tell: whether the program ran, and out of memory."""
        if code not in (*_ENGINE_CODES, _KILLED):
            return
        answer = self._ask(container.inspect(self._engine.path, self._name))
        started, ran_out = container.inspected(answer)
        self.ran_out_of_memory = ran_out or os.path.exists(f"{self._folder}/{_NOTE}")
        self._first_pid, self._next_question_s = 0, time.monotonic() + _ASK_EVERY_S
        self.never_ran = code in _ENGINE_CODES and not started

    def remove(self, client: int | None = None) -> None:
        """Kill what is left of it, at once where it is below us, and let the engine forget it.

        client: the engine's process in the foreground, when it has not ended.
        """
        inside = processes.nested(processes.descendants(os.getpid()))
        for process in inside:
            processes.kill(process.pid)
        if client is not None and not inside:
            self._stop_starting(client)
        if client is not None:
            processes.kill(client)  # it may be stuck with output that nobody takes any more
        self._ask(container.remove(self._engine.path, self._name))
        _until(lambda: not processes.reap(), _LEAVES_WITHIN_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stop_starting(self, client: int) -> None:
        """Remove it as soon as it is there: a client killed on its way would leave a control group behind."""

        def is_gone() -> bool:
            self._ask(container.remove(self._engine.path, self._name))
            processes.reap()
            return not os.path.exists(f"/proc/{client}")

        _until(is_gone, _STARTS_WITHIN_S)

    def _ask(self, command: list[str]) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - the configured engine
                command,
                env=self._engine.env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_ANSWERS_WITHIN_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout if done.returncode == 0 else ""


def _until(is_done: Callable[[], bool], within_s: float) -> None:
    give_up_monotonic_s = time.monotonic() + within_s
    while not is_done() and time.monotonic() < give_up_monotonic_s:
        time.sleep(0.005)  # the engine's processes end by themselves; nothing else happens here meanwhile
