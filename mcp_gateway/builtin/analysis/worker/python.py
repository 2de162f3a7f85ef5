"""Python, by the standard library's own parser."""

from __future__ import annotations

import ast
import platform
import warnings
from typing import Any

Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_DECISIONS = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler)


def read(task: dict[str, Any], code: str, report: dict[str, Any]) -> None:
    """Raises RecursionError, MemoryError (both: nested too deeply) and ValueError (a NUL character)."""
    warnings.simplefilter("ignore")  # doubtful escapes and comparisons are the linter's business
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        report["syntax_errors"].append(_problem(error))
        report["warnings"].append(f"it was read as Python {platform.python_version()}")
        return
    _collect(tree, report)


def _problem(error: SyntaxError) -> dict[str, Any]:
    return {
        "line": error.lineno or 1,
        "column": max(error.offset or 1, 1),
        "end_line": error.end_lineno or None,
        "message": error.msg,
    }


def _collect(tree: ast.Module, report: dict[str, Any]) -> None:
    """Depth first with a stack of our own: the tree may be deeper than Python's stack."""
    pending: list[tuple[ast.AST, str]] = [(tree, "")]
    while pending:
        node, prefix = pending.pop()
        if isinstance(node, ast.Import):
            report["imports"] += [{"name": alias.name, "line": node.lineno} for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            report["imports"].append({"name": "." * node.level + (node.module or ""), "line": node.lineno})
        elif isinstance(node, _SCOPES):
            if isinstance(node, ast.ClassDef):
                report["classes"].append({"name": prefix + node.name, "line": node.lineno})
            else:
                report["functions"].append(_function(node, prefix))
            prefix = f"{prefix}{node.name}."
        pending += [(child, prefix) for child in reversed(list(ast.iter_child_nodes(node)))]


def _function(node: Function, prefix: str) -> dict[str, Any]:
    return {
        "name": prefix + node.name,
        "line": node.lineno,
        "end_line": node.end_lineno or node.lineno,
        "params": _params(node.args),
        "complexity": _complexity(node),
    }


def _params(arguments: ast.arguments) -> list[str]:
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    names += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    names += [argument.arg for argument in arguments.kwonlyargs]
    return names + ([f"**{arguments.kwarg.arg}"] if arguments.kwarg else [])


def _complexity(function: Function) -> int:
    """McCabe's number, with short-circuit operators counted; functions and classes inside count for themselves."""
    total = 1
    pending: list[ast.AST] = list(ast.iter_child_nodes(function))
    while pending:
        node = pending.pop()
        if isinstance(node, _SCOPES):
            continue
        if isinstance(node, _DECISIONS):
            total += 1
        elif isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            total += 1 + len(node.ifs)
        elif isinstance(node, ast.Match):
            total += len(node.cases)
        pending += ast.iter_child_nodes(node)
    return total
