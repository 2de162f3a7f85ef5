"""`Everything`, with tools that ask in all the ways there are. Run as a program it takes the same options."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

from tests.fakes.everything import Context, Everything, main, said, text, tool

PAGE = "https://example.com/connect"
FORM: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}


class Asking(Everything):
    """`answered` are the answers to questions of legacy calls, as they came."""

    def __init__(self) -> None:
        super().__init__()
        self.tools += map(tool, ("survey", "page", "wall", "insist", "patient"))
        self.walls = 0
        self.answered: list[str] = []

    async def survey(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        """Two questions at once, then signs of life, then one more."""
        if ctx.protocol_version >= "2026-07-28":
            return await self._modern_survey(params)
        answers: dict[str, str] = {}

        async def sample() -> None:
            message = types.SamplingMessage(role="user", content=text("?"))
            answer = await ctx.session.create_message([message], max_tokens=5, related_request_id=ctx.request_id)
            answers["sampled"] = answer.content.text  # type: ignore[union-attr]  # the tests answer with text

        async def elicit() -> None:
            answer = await ctx.session.elicit_form("who?", FORM, related_request_id=ctx.request_id)
            answers["name"] = str((answer.content or {}).get("name"))

        async with anyio.create_task_group() as group:
            group.start_soon(sample)
            group.start_soon(elicit)
        await ctx.session.report_progress(1, 2, "half")
        await ctx.session.send_log_message("warning", "careful", related_request_id=ctx.request_id)
        sure = await ctx.session.elicit_form("sure?", FORM, related_request_id=ctx.request_id)
        await ctx.session.report_progress(2, 2, "whole")
        return said(f"{answers['sampled']} {answers['name']} {sure.action}")

    async def _modern_survey(self, params: types.CallToolRequestParams) -> Any:
        answers = {
            key: answer.model_dump(by_alias=True, mode="json") for key, answer in (params.input_responses or {}).items()
        }
        form = {"mode": "form", "requestedSchema": FORM}
        if params.request_state is None:
            return asked(
                "1",
                s={"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}},
                e={"method": "elicitation/create", "params": {**form, "message": "who?"}},
            )
        if params.request_state == "1":
            state = f"{answers['s']['content']['text']} {answers['e']['content']['name']}"
            return asked(state, e={"method": "elicitation/create", "params": {**form, "message": "sure?"}})
        return said(f"{params.request_state} {answers['e']['action']}")

    async def page(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        if ctx.protocol_version >= "2026-07-28":
            if not params.input_responses:
                page = {"mode": "url", "message": "open it", "url": PAGE}
                return asked("page", p={"method": "elicitation/create", "params": page})
            return said(f"page {params.input_responses['p'].model_dump()['action']}")
        answer = await ctx.session.elicit_url("open it", PAGE, "id-1", related_request_id=ctx.request_id)
        return said(f"page {answer.action}")

    async def wall(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        """Refuses once, for want of a page that has to be opened first (2025-11-25)."""
        self.walls += 1
        if self.walls == 1:
            page = {"mode": "url", "message": "open it", "url": PAGE, "elicitationId": "id-1"}
            raise MCPError(types.URL_ELICITATION_REQUIRED, "open a page first", {"elicitations": [page]})
        return said("through")

    async def insist(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        """Asks again and again."""
        for round in range(20):
            try:
                await ctx.session.elicit_form(f"round {round}", FORM, related_request_id=ctx.request_id)
            except MCPError as refused:
                return said(f"{round} rounds: {refused.error.message}")
        return said("20 rounds")

    async def patient(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        """Says how its question was answered, then waits to be cancelled where it was not."""
        try:
            answer = await ctx.session.elicit_form("who?", FORM, related_request_id=ctx.request_id)
            self.answered.append(answer.action)
            if answer.action == "cancel":
                await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        return said(answer.action)

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        if ctx.protocol_version >= "2026-07-28":
            return await super().get_prompt(ctx, params)
        answer = await ctx.session.elicit_form("who?", FORM, related_request_id=ctx.request_id)
        name = str((answer.content or {}).get("name"))
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=text(f"Greet {name}."))])


def asked(state: str, **requests: Any) -> types.InputRequiredResult:
    body = {"resultType": "input_required", "inputRequests": requests, "requestState": state}
    return types.InputRequiredResult.model_validate(body)


if __name__ == "__main__":
    main(sys.argv[1:], Asking())
