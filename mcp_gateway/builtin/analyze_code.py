"""`analyze_code`: read code without running it.

A text, or the path of a file below the allowed folders, enters; what it holds leaves. Nothing is executed or imported.
"""

from __future__ import annotations

import anyio.to_thread
from pydantic import Field, model_validator

from mcp_gateway.builtin.analysis.child import analyze
from mcp_gateway.builtin.analysis.languages import language_of
from mcp_gateway.builtin.analysis.report import AnalysisResult
from mcp_gateway.builtin.functions import Arguments, Builtin, Context, builtin
from mcp_gateway.builtin.roots import file_below
from mcp_gateway.builtin.turns import Turns
from mcp_gateway.config.parts import AnalyzeCodeTool
from mcp_gateway.errors import InvalidParams

AT_ONCE = 2
MAY_WAIT = 16
"""Each analysis is a process or two, for less than a second as a rule (our choice, for two cores)."""


class AnalyzeCodeArguments(Arguments):
    """`code`, or the `path` of a file."""

    code: str | None = Field(default=None, description="The text to look at.")
    path: str | None = Field(default=None, description="A file below the configured folders, instead of code.")
    language: str | None = Field(
        default=None, description="python, javascript, go ...; told by the file's suffix, else python."
    )

    @model_validator(mode="after")
    def _one_text(self) -> AnalyzeCodeArguments:
        if (self.code is None) == (self.path is None):
            raise ValueError("give either code or path")
        return self


def analyze_code_tool(settings: AnalyzeCodeTool) -> Builtin:
    """The tool, for files below `settings.roots`."""
    turns = Turns("analyze_code", AT_ONCE, MAY_WAIT)

    @builtin(title="Analyze code", readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=False)
    async def analyze_code(arguments: AnalyzeCodeArguments, context: Context) -> AnalysisResult:
        """Read code without running it: syntax errors, functions, classes, imports, complexity, lint and security.

        Python best; `warnings` say what is not known of other languages. Give `code` or a `path`.
        """
        content = await _content(arguments, settings)
        language = language_of(arguments.language, arguments.path, content.decode())
        deadline_s = context.call.deadline_s or settings.timeout
        async with turns.turn(deadline_s):
            return await analyze(content, language, min(deadline_s, settings.timeout))

    return analyze_code


async def _content(arguments: AnalyzeCodeArguments, settings: AnalyzeCodeTool) -> bytes:
    """UTF-8 text. Raises InvalidParams when it is too large, or no text."""
    if arguments.path is not None:
        content = await anyio.to_thread.run_sync(
            file_below, arguments.path, settings.roots, "tools.analyze_code.roots", settings.max_bytes
        )
    else:
        content = (arguments.code or "").encode()
    if len(content) > settings.max_bytes:
        raise InvalidParams(f"the code has {len(content)} bytes; at most {settings.max_bytes} are read")
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InvalidParams("the file is not UTF-8 text") from None
    if "\0" in text:
        raise InvalidParams("the code holds NUL characters: it is binary, not text")
    return content
