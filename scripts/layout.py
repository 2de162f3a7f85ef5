"""Checks of the house that import-linter cannot make: tests mirror sources, each library has one home.

Enters: the folder of the repository. Leaves: one line per fault on standard output,
exit status 1 when there is any. Files are parsed, never imported.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = "mcp_gateway"

HOMES: Mapping[str, tuple[str, ...]] = {
    "click": ("cli",),
    "cryptography": ("security",),
    "dotenv": ("config",),
    "http_message_signatures": ("security",),
    "httptools": ("upstream/dispatch",),
    "httpx2": ("fetch", "builtin/providers"),
    "jwt": ("security",),
    "keyring": ("security",),
    "mcp": ("downstream", "serving", "bridge", "upstream/oauth"),
    "openai": ("llm",),
    "opentelemetry": ("observe",),
    "prometheus_client": ("observe",),
    "psutil": ("builtin", "observe"),
    "requests": ("observe",),
    "rich": ("cli",),
    "sqlite3": ("cache",),
    "sqlitedict": ("cache",),
    "starlette": ("downstream",),
    "tomllib": ("config",),
    "uvicorn": ("downstream",),
    "websockets": ("downstream",),
    "yaml": ("config",),
}
"""Library -> the rooms that may import it (ARCHITECTURE.md, "Floors")."""

OTHER_TESTS = frozenset(
    {"clients", "conformance", "fakes", "faults", "interaction", "node", "requirements", "servers", "setup"}
)
"""Folders of tests about the whole gateway rather than one room."""

STRANGERS = (("downstream", "builtin"),)
"""Rooms that reach each other only through the gateway, although their floors would allow an import."""


def main(root: Path) -> int:
    faults = sorted([*unmirrored(root), *away_from_home(root), *not_strangers(root)])
    print("\n".join(faults) or "layout: tests mirror sources, libraries are at home")
    return 1 if faults else 0


def unmirrored(root: Path) -> Iterator[str]:
    """Rooms without tests, and folders of tests without a room: `a` has `tests/a/`, `tests/test_a.py` or both."""
    tests = root / "tests"
    for room in rooms(root):
        if not any((tests / room.stem).rglob("test_*.py")) and not any(tests.glob(f"test_{room.stem}*.py")):
            yield f"{room.relative_to(root)}: no tests in tests/{room.stem}/ or tests/test_{room.stem}.py"
    for folder in sorted({test.parent.relative_to(tests) for test in tests.rglob("test_*.py")}):
        if folder.parts and folder.parts[0] not in OTHER_TESTS and not (root / PACKAGE / folder).is_dir():
            yield f"tests/{folder}/: mirrors no room"


def rooms(root: Path) -> Iterator[Path]:
    """The packages and modules of the top level."""
    package = root / PACKAGE
    yield from (init.parent for init in sorted(package.glob("*/__init__.py")))
    yield from (module for module in sorted(package.glob("*.py")) if not module.stem.startswith("__"))


def away_from_home(root: Path) -> Iterator[str]:
    for module in modules(root):
        relative = module.relative_to(root / PACKAGE)
        for library in sorted({name.split(".")[0] for name in imports(module)} & HOMES.keys()):
            homes = HOMES[library]
            if not any(is_inside(relative, home) for home in homes):
                yield f"{PACKAGE}/{relative}: imports {library}, whose home is {' and '.join(homes)}"


def not_strangers(root: Path) -> Iterator[str]:
    for module in modules(root):
        relative = module.relative_to(root / PACKAGE)
        for one, other in (pair for names in STRANGERS for pair in (names, names[::-1])):
            if is_inside(relative, one) and any(is_below(name, f"{PACKAGE}.{other}") for name in imports(module)):
                yield f"{PACKAGE}/{relative}: {one} and {other} are strangers"


def modules(root: Path) -> Iterator[Path]:
    return iter(sorted((root / PACKAGE).rglob("*.py")))


def is_inside(relative: Path, room: str) -> bool:
    """`room` is a folder or a module without its suffix, relative to the package."""
    return is_below(relative.with_suffix("").as_posix(), room, separator="/")


def is_below(name: str, ancestor: str, separator: str = ".") -> bool:
    return name == ancestor or name.startswith(ancestor + separator)


def imports(module: Path) -> Iterator[str]:
    """Every absolute name a file imports: `import a.b` gives a.b, `from a import b` gives a and a.b."""
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parse(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), filename=str(module))


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
