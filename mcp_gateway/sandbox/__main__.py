"""`python -m mcp_gateway.sandbox`: the self-test, or one command inside, for people and for scripts.

--self-test                       what holds here, per backend; exit status 0 when one backend works
--workdir DIR [limits] -- ARGV    run one command; streams and exit status pass through (128 + n for a signal)
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import anyio

from mcp_gateway.errors import GatewayError, exit_code

from . import BACKENDS, Attempt, Backend, Container, Limits, Network, Request, Sandbox, attempt
from .model import MIB
from .selection import first_running

_UNAVAILABLE = 69


def main() -> int:
    options, argv = _parse(sys.argv[1:])
    try:
        if options.self_test:
            return anyio.run(_self_test, options.backend, _container(options))
        return _run(options, argv)
    except GatewayError as error:
        print(f"sandbox: {error.message}", file=sys.stderr)
        return exit_code(error)


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    ours, argv = arguments, []
    if "--" in arguments:
        split = arguments.index("--")
        ours, argv = arguments[:split], arguments[split + 1 :]
    parser = argparse.ArgumentParser(prog="python -m mcp_gateway.sandbox", epilog="The command stands behind `--`.")
    defaults = Limits()
    parser.add_argument("--self-test", action="store_true", help="say what holds here, and exit")
    parser.add_argument("--backend", default="auto", choices=["auto", *BACKENDS])
    parser.add_argument("--image", help="image of a container, by its digest; without it no container is tried")
    parser.add_argument("--engine", default="auto", help="docker, podman or an absolute path (default %(default)s)")
    parser.add_argument(
        "--engine-option", action="append", default=[], metavar="OPTION", help="a further option of its run; repeatable"
    )
    parser.add_argument("--workdir", help="folder that the command may change (default: an empty one, thrown away)")
    parser.add_argument("--network", action="store_true", help="give the command the host's network")
    parser.add_argument(
        "--wall", type=float, default=defaults.wall_s, metavar="S", help="seconds (default %(default)s)"
    )
    parser.add_argument("--cpu", type=float, default=defaults.cpu_s, metavar="S", help="seconds (default %(default)s)")
    parser.add_argument("--memory", type=int, default=defaults.memory_bytes // MIB, metavar="MiB")
    parser.add_argument("--pids", type=int, default=defaults.pids, metavar="N")
    parser.add_argument("--disk", type=int, default=defaults.disk_bytes // MIB, metavar="MiB")
    parser.add_argument("--output", type=int, default=1, metavar="MiB", help="for each stream (default %(default)s)")
    options = parser.parse_args(ours)
    if not options.self_test and not argv:
        parser.error("give a command behind `--`, or --self-test")
    return options, argv


def _container(options: argparse.Namespace) -> Container | None:
    return Container(options.image, options.engine, tuple(options.engine_option)) if options.image else None


async def _self_test(wanted: str, container: Container | None) -> int:
    works = False
    for backend in BACKENDS:
        if wanted not in ("auto", backend) or (wanted == "auto" and backend is Backend.CONTAINER and not container):
            continue
        tried, _ = await attempt(backend, (), container)
        _print(tried)
        works = works or tried.works
    return 0 if works else _UNAVAILABLE


def _print(tried: Attempt) -> None:
    print(f"{tried.backend}: {'works' if tried.works else tried.reason}")
    for probe in tried.probes:
        print(f"  {'held' if probe.holds else 'FAILED'}  {probe.name}" + (f" ({probe.found})" if probe.found else ""))
    if tried.fix:
        print(f"  to mend it: {tried.fix}")


def _run(options: argparse.Namespace, argv: list[str]) -> int:
    """Becomes the supervisor; returns only where nothing works."""
    chosen = anyio.run(first_running, options.backend, _container(options))
    if not isinstance(chosen, Sandbox):
        print(chosen.report, file=sys.stderr)
        return _UNAVAILABLE
    request = Request(
        tuple(argv),
        workdir=str(Path(options.workdir).resolve()) if options.workdir else None,
        network=Network.HOST if options.network else Network.NONE,
    )
    limits = Limits(
        wall_s=options.wall,
        cpu_s=options.cpu,
        memory_bytes=options.memory * MIB,
        pids=options.pids,
        disk_bytes=options.disk * MIB,
        output_bytes=options.output * MIB,
    )
    command = chosen.relay_command(request, limits)
    sys.stdout.flush()
    return os.execve(command[0], command, {})  # noqa: S606 - our own interpreter, and nothing of our environment


if __name__ == "__main__":
    sys.exit(main())
