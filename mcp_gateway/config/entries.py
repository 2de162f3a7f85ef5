"""One server entry of the file to one server model, or to its problems."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from mcp_gateway.config.check import checked
from mcp_gateway.config.document import kind
from mcp_gateway.config.environment import Environment
from mcp_gateway.config.interpolate import Finding, Interpolator
from mcp_gateway.config.problems import Line, Report
from mcp_gateway.config.roots import Named
from mcp_gateway.config.servers import KINDS, KNOWN_KEYS, Server, StdioServer
from mcp_gateway.config.settling import REMOTE_KEYS, settle
from mcp_gateway.config.spelling import respell
from mcp_gateway.config.tree import Entry, Leaf, Table


@dataclass(frozen=True, slots=True)
class ReadServer:
    """A server, why it cannot be used today (None when it can), and the values that references put into it."""

    server: Server
    skipped: str | None
    values: frozenset[str]


def read_server(named: Named, report: Report, environment: Environment) -> ReadServer | None:
    """None after reporting why the entry is no server.

    A reference without a value, or an `envFile` that is not there, disables this server and no other.
    """
    if not isinstance(named.node, Table):
        report.problem(named.node.mark, named.path, f"expected a mapping, found {kind(named.node)}")
        return None
    interpolator = Interpolator(environment)
    table = interpolator.table(respell(named.node, named.path, report), named.path)
    report_findings(interpolator, report)
    settled = settle(table, named.path, report, environment)
    if settled.kind is None:
        _report_kindless(named, settled.table, report, environment)
        return None
    table = settled.table
    missing = [*interpolator.unresolved, *(_missing_file(settled.missing, table, named.path))]
    skipped = None
    if missing and not _is_disabled(table):
        skipped = _reason(missing, report.file)
        table = table.put(Entry("disabled", table.mark, Leaf("true", table.mark), ""))
    server = checked(KINDS[settled.kind], table, named.path, report, environment, name=named.name)
    return ReadServer(server, skipped, frozenset(interpolator.values)) if server else None


def _report_kindless(named: Named, table: Table, report: Report, environment: Environment) -> None:
    """Neither command nor url: perhaps one of them is misspelt, and the rest is worth checking anyway."""
    stand_in = table.put(Entry("command", table.mark, Leaf("-", table.mark), ""))
    stand_in = stand_in.without(*REMOTE_KEYS)
    checked(StdioServer, stand_in, named.path, report, environment, name=named.name)
    unknown = (entry.key for entry in table.entries if entry.key not in KNOWN_KEYS)
    if not any(get_close_matches(key, ("command", "url")) for key in unknown):
        report.problem(named.mark, named.path, "a server needs a 'command' or a 'url'")


def report_findings(interpolator: Interpolator, report: Report) -> None:
    """Pass on what is wrong with references whoever needs them, and what merely looks odd."""
    for found in interpolator.misspelled:
        report.problem(found.leaf.mark, found.path, found.text)
    for found in interpolator.notes:
        report.note(found.leaf.mark, found.path, found.text)


def _missing_file(reason: str | None, table: Table, path: str) -> Iterable[Finding]:
    return [Finding(Leaf(None, table.mark), path, reason)] if reason else []


def _is_disabled(table: Table) -> bool:
    return (table.text("disabled") or "").casefold() in ("true", "yes", "on", "1")


def _reason(missing: list[Finding], file: str) -> str:
    """`file:line:col: path: A is not set; B is not set`, placed at the first."""
    first = missing[0]
    texts = dict.fromkeys(found.text for found in missing)
    return Line(first.leaf.mark, first.path, "; ".join(texts)).render(file)
