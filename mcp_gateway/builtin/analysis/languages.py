"""The languages that `analyze_code` knows: how a file shows its language, and what reads it.

A name, a path or a first line enters, a `Language` leaves. To add one: a line in the table, and its grammar in the
`analysis` extra where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from mcp_gateway.errors import InvalidParams


@dataclass(frozen=True, slots=True)
class Language:
    """`grammar` is the module and function of a tree-sitter grammar; lizard goes by the first suffix."""

    name: str
    suffixes: tuple[str, ...]
    line_comment: str = "//"
    block_comment: tuple[str, str] | None = ("/*", "*/")
    grammar: tuple[str, str] | None = None
    measured: bool = True
    """Whether lizard reads it."""


def _grammar(module: str, function: str = "language") -> tuple[str, str]:
    return f"tree_sitter_{module}", function


_ALL: Final = (
    Language("python", (".py", ".pyi", ".pyw"), "#", None),
    Language("json", (".json",), "", None, measured=False),
    Language("javascript", (".js", ".mjs", ".cjs", ".jsx"), grammar=_grammar("javascript")),
    Language("typescript", (".ts", ".mts", ".cts"), grammar=_grammar("typescript", "language_typescript")),
    Language("tsx", (".tsx",), grammar=_grammar("typescript", "language_tsx")),
    Language("go", (".go",), grammar=_grammar("go")),
    Language("rust", (".rs",), grammar=_grammar("rust")),
    Language("java", (".java",), grammar=_grammar("java")),
    Language("c", (".c", ".h"), grammar=_grammar("c")),
    Language("cpp", (".cpp", ".cc", ".cxx", ".hpp", ".hh"), grammar=_grammar("cpp")),
    Language("bash", (".sh", ".bash"), "#", None, grammar=_grammar("bash"), measured=False),
    Language("csharp", (".cs",)),
    Language("kotlin", (".kt", ".kts")),
    Language("lua", (".lua",), "--", ("--[[", "]]")),
    Language("php", (".php",)),
    Language("ruby", (".rb",), "#", None),
    Language("scala", (".scala",)),
    Language("swift", (".swift",)),
)
BY_NAME: Final[Mapping[str, Language]] = {language.name: language for language in _ALL}
_BY_SUFFIX: Final = {suffix: language for language in _ALL for suffix in language.suffixes}
_ALIASES: Final = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "node": "javascript",
    "ts": "typescript",
    "golang": "go",
    "rs": "rust",
    "c++": "cpp",
    "c#": "csharp",
    "sh": "bash",
    "shell": "bash",
}
PYTHON: Final = BY_NAME["python"]


def language_of(name: str | None, path: str | None, code: str) -> Language:
    """The language as it is said, else by the file's suffix, else by a `#!` line; code alone counts as Python.

    Raises InvalidParams, which lists the known ones.
    """
    if name is not None:
        return _named(name)
    suffix = PurePath(path).suffix.lower() if path is not None else ""
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if code.startswith("#!"):
        program = code.partition("\n")[0].replace("/", " ").split()[-1]
        return _named(program.rstrip("0123456789.") or program)
    if path is None:
        return PYTHON
    raise InvalidParams(f"the language of a {suffix or 'nameless'} file is unknown; {_known()}")


def _named(name: str) -> Language:
    folded = name.strip().casefold()
    language = BY_NAME.get(_ALIASES.get(folded, folded))
    if language is None:
        raise InvalidParams(f"language {name[:40]!r} is unknown; {_known()}")
    return language


def _known() -> str:
    return f"name one of {', '.join(BY_NAME)}"
