"""Every other language, with the `analysis` extra: tree-sitter for syntax and names, lizard for functions.

Without the extra a warning says what to install.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

_INSTALL = "pip install 'mcp-gateway-server[analysis]'"
_MAX_DEPTH = 12
"""How deep names are looked for: classes and imports stand near the top."""
_MAX_PROBLEMS = 50
_MAX_NAME_CHARS = 200

_CLASSES = frozenset(
    {
        "class_declaration",
        "abstract_class_declaration",
        "class_specifier",
        "struct_specifier",
        "struct_item",
        "enum_item",
        "enum_declaration",
        "interface_declaration",
        "record_declaration",
        "trait_item",
        "type_spec",
    }
)
_IMPORTS = frozenset({"import_statement", "import_spec", "import_declaration", "use_declaration", "preproc_include"})


def read(task: dict[str, Any], code: str, report: dict[str, Any]) -> None:
    """Syntax errors, classes and imports."""
    if task["grammar"] is None:
        report["warnings"].append(f"syntax of {task['language']} is not checked: there is no grammar for it here")
        return
    module, function = task["grammar"]
    try:
        tree_sitter = importlib.import_module("tree_sitter")
        grammar = getattr(importlib.import_module(module), function)
    except ImportError:
        report["warnings"].append(f"syntax of {task['language']} was not checked; {_INSTALL}")
        return
    encoded = code.encode()
    root = tree_sitter.Parser(tree_sitter.Language(grammar())).parse(encoded).root_node
    report["syntax_errors"] += _problems(root, encoded)
    for node in _near_the_top(root):
        if node.type in _CLASSES and (name := node.child_by_field_name("name")) is not None:
            report["classes"].append(_named(name, encoded, node))
        elif node.type in _IMPORTS and not _is_group(node):
            report["imports"].append(_imported(node, encoded))


def measure(task: dict[str, Any], code: str, report: dict[str, Any]) -> None:
    """Functions and their complexity."""
    if task["suffix"] is None:
        report["warnings"].append(f"functions of {task['language']} are not looked for in this version")
        return
    try:
        lizard = importlib.import_module("lizard")
    except ImportError:
        report["warnings"].append(f"functions of {task['language']} were not looked for; {_INSTALL}")
        return
    found = lizard.analyze_file.analyze_source_code(f"code{task['suffix']}", code)
    report["functions"] += [
        {
            "name": function.name[:_MAX_NAME_CHARS],
            "line": function.start_line,
            "end_line": function.end_line,
            "params": [name[:_MAX_NAME_CHARS] for name in function.full_parameters],
            "complexity": function.cyclomatic_complexity,
        }
        for function in found.function_list
    ]


def _problems(root: Any, encoded: bytes) -> list[dict[str, Any]]:
    """The innermost nodes that hold an error, in order."""
    problems: list[dict[str, Any]] = []
    pending = [root]
    while pending and len(problems) < _MAX_PROBLEMS:
        node = pending.pop()
        if node.is_missing or node.type == "ERROR":
            problems.append(_problem(node, encoded))
        elif node.has_error:
            pending += reversed(node.children)
    return problems


def _problem(node: Any, encoded: bytes) -> dict[str, Any]:
    row, column = node.start_point
    message = f"missing {node.type}" if node.is_missing else f"unexpected {_text(node, encoded)[:40]!r}"
    return {"line": row + 1, "column": column + 1, "end_line": node.end_point[0] + 1, "message": message}


def _near_the_top(root: Any) -> Iterator[Any]:
    pending = [(root, 0)]
    while pending:
        node, depth = pending.pop()
        yield node
        if depth < _MAX_DEPTH:
            pending += [(child, depth + 1) for child in reversed(node.named_children)]


def _is_group(node: Any) -> bool:
    """In Go an import declaration only holds the imports, one or a list."""
    return any(child.type in ("import_spec", "import_spec_list") for child in node.named_children)


def _named(name: Any, encoded: bytes, node: Any) -> dict[str, Any]:
    return {"name": _text(name, encoded), "line": node.start_point[0] + 1}


def _imported(node: Any, encoded: bytes) -> dict[str, Any]:
    """The field that names what is imported, else the first word after the keyword."""
    fields = [node.child_by_field_name(field) for field in ("source", "path", "argument")]
    part = next((field for field in (*fields, *node.named_children) if field is not None), node)
    found = _named(part, encoded, node)
    return {**found, "name": found["name"].strip("\"'<>`")}


def _text(node: Any, encoded: bytes) -> str:
    text = encoded[node.start_byte : node.end_byte].decode("utf-8", "replace")
    return text.partition("\n")[0][:_MAX_NAME_CHARS]
