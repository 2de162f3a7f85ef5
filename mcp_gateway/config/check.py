"""A tree against a model: a section, or the lines that say why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from mcp_gateway.config.environment import Environment
from mcp_gateway.config.messages import report_errors
from mcp_gateway.config.problems import Report
from mcp_gateway.config.section import Section
from mcp_gateway.config.tree import Node, Table, is_unresolved, locate, plain

M = TypeVar("M", bound=Section)


def checked(
    model: type[M], table: Table, path: str, report: Report, environment: Environment, **added: Any
) -> M | None:
    """The model of `table` and the `added` values, or None after reporting.

    A scalar whose reference is unresolved has been reported already: what it breaks is
    left out, so that the rest can still be checked and a skipped server still described.
    """
    context = {"folder": environment.folder, "environ": environment.real}
    try:
        return model.model_validate({**plain(table), **added}, context=context)
    except ValidationError as error:
        places = [locate(table, found["loc"]) for found in error.errors(include_url=False, include_input=False)]
        broken = [place.node for place in places if is_unresolved(place.node)]
        if report_errors(error, model, table, path, report):
            return None
        return checked(model, _without(table, broken), path, report, environment, **added)


def _without(table: Table, dropped: list[Node]) -> Table:
    """The table without the given nodes, on whatever level they stand."""
    kept = [entry for entry in table.entries if not any(entry.value is node for node in dropped)]
    return replace(table, entries=tuple(replace(entry, value=_below(entry.value, dropped)) for entry in kept))


def _below(node: Node, dropped: list[Node]) -> Node:
    return _without(node, dropped) if isinstance(node, Table) else node
