"""Prints the fault table: `scripts/faults [--together | --peer fastmcp | --no-fast-lane] [NAME...]`.

Each case has a gateway to itself unless asked otherwise. Progress goes to standard error, the table to standard
output. Exit status 1 when a case misses a criterion; a peer's misses are no failure.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from tests.faults import peers
from tests.faults.bench import Bench, exposed, our_gateway
from tests.faults.cases import CASES, Case
from tests.faults.limits import BEARABLE, PROMISED, Limits
from tests.faults.report import Row, summary, table

AGAIN = 1
"""A case that misses is tried again: the machine may have been busy."""

_TERMINATED = 128 + signal.SIGTERM

ENOUGH_ROWS = 5
UNKNOWN_START_S = 10.0
"""What the first starts of a run may take; later ones are compared with those before."""


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # so that gateways and upstreams end, too
    chosen = [case for case in CASES if not arguments.name or any(part in case.name for part in arguments.name)]
    if arguments.peer:
        run, limits = _runner(peers.PEERS[arguments.peer]), BEARABLE
    else:
        ours = peers.Peer(partial(our_gateway, fast_lane=not arguments.no_fast_lane), exposed)
        run, limits = _runner(ours), PROMISED
    rows = _together(chosen) if arguments.together else []
    for case in chosen:
        if case not in {row.case for row in rows if not row.misses}:
            rows = [row for row in rows if row.case != case]
            rows.append(_shown(case, run, _fair(limits, rows)))
    print(table(rows), summary(rows), sep="\n\n")
    return 0 if arguments.peer or not any(row.misses for row in rows) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="faults", description="Try every fault of an upstream, and print the table.")
    parser.add_argument("name", nargs="*", help="only cases with one of these in their name")
    parser.add_argument("--together", action="store_true", help="one gateway of ours for all of a transport: quick")
    parser.add_argument("--no-fast-lane", action="store_true", help="through the SDK's transport alone")
    parser.add_argument("--peer", choices=sorted(peers.PEERS), help="another gateway in place of ours")
    return parser.parse_args()


def _shown(case: Case, run: Callable[[Path, Case], Row], limits: Limits) -> Row:
    for _ in range(1 + AGAIN):
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            row = replace(run(Path(folder), case), limits=limits)
        print(f"{case.name}: {'; '.join(row.misses) or 'ok'}", file=sys.stderr)
        if not row.misses:
            break
    return row


def _together(cases: Sequence[Case]) -> list[Row]:
    """All cases of a transport behind one gateway, as the tests have them; what misses is tried again, alone."""
    rows: list[Row] = []
    limits = replace(PROMISED, up_s=UNKNOWN_START_S)
    for transport in sorted({case.transport for case in cases}):
        chosen = [case for case in cases if case.transport == transport]
        with tempfile.TemporaryDirectory(prefix="faults-") as folder, Bench(Path(folder), chosen) as bench:
            outcomes = bench.run()
        rows += [Row(outcome.case, outcome, bench.whole, limits=limits) for outcome in outcomes]
    return rows


def _fair(limits: Limits, before: Sequence[Row]) -> Limits:
    """A start may take three times as long as usual on this machine: an upstream that holds it up stands out."""
    starts_s = [row.whole.up_s for row in before if row.whole is not None]
    usual_s = 3 * median(starts_s) if len(starts_s) >= ENOUGH_ROWS else UNKNOWN_START_S
    return replace(limits, up_s=max(limits.up_s, usual_s))


def _runner(peer: peers.Peer) -> Callable[[Path, Case], Row]:
    return lambda folder, case: _tried(Bench(folder, [case], peer.start, peer.name), case)


def _tried(bench: Bench, case: Case) -> Row:
    try:
        with bench:
            outcomes = bench.run()
    except (AssertionError, OSError) as failed:
        return Row(case, broke_off=f"broke off: {str(failed).partition(chr(10))[0]}")
    return Row(case, outcomes[0], bench.whole)


if __name__ == "__main__":
    sys.exit(main())
