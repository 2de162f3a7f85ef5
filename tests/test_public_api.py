"""What an embedder may import is written down once, and kept."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import mcp_gateway

SOURCE = Path(mcp_gateway.__file__)


def bound_names() -> set[str]:
    """Names that the package binds itself: assignments, definitions and imports, but no submodules."""
    bound: set[str] = set()
    for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.Assign(targets=targets):
                bound.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                bound.add(name)
            case ast.ImportFrom(module=module, names=names) if module != "__future__":
                bound.update(alias.asname or alias.name for alias in names)
            case _:
                pass
    return bound - {"__all__"}


def test_all_is_sorted() -> None:
    assert list(mcp_gateway.__all__) == sorted(mcp_gateway.__all__)


def test_all_names_what_the_package_binds_and_nothing_else() -> None:
    public = {name for name in bound_names() if not name.startswith("_") or name == "__version__"}
    lazy = {name for name in mcp_gateway.__all__ if name not in public}

    assert public <= set(mcp_gateway.__all__)
    assert all(hasattr(mcp_gateway, name) for name in lazy)


def test_the_version_is_the_distributions() -> None:
    assert mcp_gateway.__version__ == version("mcp-gateway-server")
