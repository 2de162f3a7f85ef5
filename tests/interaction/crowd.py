"""An upstream with more tools than a model should be shown."""

from __future__ import annotations

from typing import Any

import mcp_types as types

from tests.fakes.everything import OBJECT, Everything

TOOLS = 60


class Crowd(Everything):
    """`Everything` with 60 tools; `count` says that it only reads."""

    def __init__(self) -> None:
        super().__init__()
        for each in self.tools:
            if each.name == "count":
                each.annotations = types.ToolAnnotations(read_only_hint=True)
        more = TOOLS - len(self.tools)
        self.tools += [
            types.Tool(name=f"paint_{n}", description=f"Paint wall {n}.", input_schema=OBJECT) for n in range(more)
        ]

    def __getattr__(self, name: str) -> Any:
        """Tools that do nothing of their own echo."""
        if name.startswith("paint_"):
            return self.echo
        raise AttributeError(name)
