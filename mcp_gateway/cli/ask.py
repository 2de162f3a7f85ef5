"""`ask`: a question, answered with the tools of all servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
import click

from mcp_gateway.cli.content import shown
from mcp_gateway.cli.gateway import gateway
from mcp_gateway.cli.options import common
from mcp_gateway.cli.output import Output, answer, note, say
from mcp_gateway.errors import CODES

NO_ANSWER: Final = 5
"""Exit status when the model failed for a reason without a code (design, exit codes: the tool reported an error)."""


@click.command("ask")
@click.argument("question", nargs=-1, required=True)
@click.option("--tool", "tools", multiple=True, help="Use only this tool; a glob, or in full one that changes things.")
@click.option("--server", "servers", multiple=True, help="Use only the tools of this server; a glob.")
@click.option("--read-only", is_flag=True, help="Use nothing that can change anything.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Deadline in seconds.")
@common
def ask(
    output: Output,
    question: Sequence[str],
    tools: Sequence[str],
    servers: Sequence[str],
    read_only: bool,
    timeout: float | None,
) -> int:
    """Ask a question: `mcp-gateway ask "what time is it in Helsinki?"`.

    The model of the `llm` section answers; without one you are told which tools fit.
    """
    arguments: dict[str, Any] = {"question": " ".join(question)}
    wishes = {"tools": list(tools), "servers": list(servers), "read_only": read_only}
    arguments |= {name: value for name, value in wishes.items() if value}
    log = CallLog()
    result = anyio.run(_ask, output, arguments, timeout, log)
    told = result.get("structuredContent")
    if output.as_json:
        answer(told if told is not None else result)
    else:
        for text in shown(result):
            say(text)
        log.finish(told or {})
    return _status(result)


async def _ask(output: Output, arguments: Mapping[str, Any], timeout_s: float | None, log: CallLog) -> dict[str, Any]:
    async with gateway(output) as answers:
        await answers.get("tools")  # the servers that are still starting bring what the answer needs
        return await answers.call("ask", arguments, timeout_s, None if output.as_json else log.follow)


class CallLog:
    """What is done for the answer, a line for each step as it happens; what nobody told on the way comes at the end."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def follow(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "tool_call":
            note(f"{data['id']} {data['tool']}: calling")
        elif kind == "tool_result" and data["ok"]:  # the end tells why one failed
            self._told.add(data["id"])
            note(_ended(data, ""))

    def finish(self, told: Mapping[str, Any]) -> None:
        for call in told.get("tool_calls", ()):
            if call["id"] not in self._told:
                note(_ended(call, call["error"]))


def _ended(call: Mapping[str, Any], failure: str) -> str:
    return f"{call['id']} {call['tool']}: {'ok' if call['ok'] else failure}, {call['ms']} ms"


def _status(result: Mapping[str, Any]) -> int:
    if not result.get("isError"):
        return 0
    code = str((result.get("structuredContent") or {}).get("error_code"))
    return CODES[code].exit if code in CODES else NO_ANSWER


COMMANDS = {"ask": ask}
