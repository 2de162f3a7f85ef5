"""`scripts/bench COMMAND`: runs one benchmark and prints its table, or everything as JSON."""

from __future__ import annotations

import argparse
import json

from benchmarks import cache, relay, retrieval, sandbox
from benchmarks.report import environment, markdown

BENCHMARKS = {"cache": cache, "relay": relay, "retrieval": retrieval, "sandbox": sandbox}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in BENCHMARKS.items():
        command = commands.add_parser(name, help=(module.__doc__ or "").splitlines()[0], description=module.__doc__)
        command.add_argument("--json", action="store_true", help="everything as one JSON document")
        module.add_arguments(command)
    arguments = parser.parse_args()
    report = BENCHMARKS[arguments.command].measure(arguments)
    where = environment()
    if arguments.json:
        print(json.dumps({"environment": where, "rows": report.rows, "notes": report.notes}, indent=2))
        return
    print(markdown(report.rows))
    print("\n" + "\n".join([*report.notes, ", ".join(f"{key} {value}" for key, value in where.items())]))


if __name__ == "__main__":
    main()
