"""References in text: `${VAR}` and its kin become values, `$$` becomes `$`.

    ${VAR}            the variable; unset is an error
    ${VAR:-default}   the default when it is unset or empty
    ${VAR:?message}   the message when it is unset or empty
    ${env:VAR}        the same as ${VAR}, as Cursor and VS Code write it
    ${file:path}      the content of a file, without its trailing newline
    ${secret:name}    what `mcp-gateway secrets set name` stored; :- and :? work as above
    ${keyring:name}   the same from the system's keyring, where it stands under mcp-gateway

What a reference yields is not looked at again, and a bare `$VAR` stays as it is
(a password may hold one). Messages name variables and never show values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mcp_gateway.config.discover import folders
from mcp_gateway.config.document import Unreadable, read_text
from mcp_gateway.config.environment import Environment
from mcp_gateway.config.tree import Entry, Items, Leaf, Node, Origin, Table, dotted
from mcp_gateway.errors import GatewayError, UnknownName
from mcp_gateway.security.secret_name import NAME_RULE, is_secret_name

_TOKEN = re.compile(r"\$\$|\$\{([^{}\n]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BARE = re.compile(r"(?:Bearer )?\$[A-Za-z_][A-Za-z0-9_]*")


class Unresolved(Exception):
    """A reference without a value today; whoever needs it must do without."""


class Misspelled(Exception):
    """A reference that can never have a value."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one scalar: where it stands and what is the matter."""

    leaf: Leaf
    path: str
    text: str


@dataclass(slots=True)
class Interpolator:
    """Rewrites trees; gathers the values it put in and what went wrong on the way."""

    environment: Environment
    values: set[str] = field(default_factory=set)
    unresolved: list[Finding] = field(default_factory=list)
    misspelled: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    def tree(self, node: Node, path: str) -> Node:
        match node:
            case Leaf():
                return self.leaf(node, path)
            case Items():
                return replace(node, items=tuple(self.tree(item, f"{path}[{i}]") for i, item in enumerate(node.items)))
            case Table():
                return self.table(node, path)

    def table(self, table: Table, path: str) -> Table:
        return replace(table, entries=tuple(self._entry(entry, path) for entry in table.entries))

    def _entry(self, entry: Entry, path: str) -> Entry:
        return replace(entry, value=self.tree(entry.value, dotted(path, entry.written)))

    def leaf(self, leaf: Leaf, path: str) -> Leaf:
        if leaf.text is None or "$" not in leaf.text:
            return leaf
        if _BARE.fullmatch(leaf.text):
            self.notes.append(Finding(leaf, path, "a bare $NAME is not expanded; write ${NAME}"))
        used: list[str] = []
        try:
            text = _TOKEN.sub(lambda token: self._value(token, used), leaf.text)
        except Misspelled as error:
            self.misspelled.append(Finding(leaf, path, str(error)))
            return replace(leaf, origin=Origin.UNRESOLVED)
        except Unresolved as error:
            self.unresolved.append(Finding(leaf, path, str(error)))
            return replace(leaf, origin=Origin.UNRESOLVED)
        self.values.update(used)
        return replace(leaf, text=text, origin=Origin.INTERPOLATED if used else leaf.origin)

    def _value(self, token: re.Match[str], used: list[str]) -> str:
        if token[0] == "$$":
            return "$"
        if token[1] is None:
            raise Misspelled("'${' without its '}'; write $$ for a plain $")
        value = resolve(token[1], self.environment)
        used.append(value)
        return value


def resolve(reference: str, environment: Environment) -> str:
    """The value of what stands between the braces.

    Raises:
        Unresolved: it has none here and now.
        Misspelled: it is not a reference that we know.
    """
    scheme, colon, rest = reference.partition(":")
    if colon and (special := _SCHEMES.get(scheme)) and not rest.startswith(("-", "?")):
        return special(rest, environment)
    return _variable(reference, environment)


def _variable(reference: str, environment: Environment) -> str:
    name, colon, rest = reference.partition(":")
    if not _NAME.fullmatch(name) or (colon and not rest.startswith(("-", "?"))):
        shown = name if len(name) <= 40 else name[:40] + "..."
        raise Misspelled(f"the reference that starts with '${{{shown}' is not understood; write ${{NAME}}")
    return _or_else(environment.get(name), rest, f"{name} is not set")


def _or_else(value: str | None, rest: str, missing: str) -> str:
    """The value, or what `rest` says instead: `-default`, `?message`, or nothing. Raises Unresolved."""
    operator, argument = rest[:1], rest[1:]
    if operator == "-":
        return value or argument
    if operator == "?" and not value:
        raise Unresolved(f"{missing}: {argument}" if argument else missing)
    if value is None:
        raise Unresolved(missing)
    return value


def _file(path: str, environment: Environment) -> str:
    try:
        text = read_text(environment.path(path))
    except Unreadable as reason:
        raise Unresolved(f"the file of '${{file:{path}}}': {reason}") from None
    return text.removesuffix("\n")


def _input(name: str, environment: Environment) -> str:
    raise Unresolved(f"'${{input:{name}}}' asks in an editor; use ${{VAR}} and set the variable in .env")


def _secret(reference: str, environment: Environment) -> str:
    from mcp_gateway.security.vault import Vault  # here: most files name no stored secret

    name, rest = _stored_name("secret", reference)
    vault = Vault(folders(environment.real).state, environment.real)
    try:
        value = vault.get(name)
    except UnknownName:
        value = None
    except GatewayError as locked:
        raise Unresolved(f"'${{secret:{name}}}': {locked.message}") from None
    return _or_else(value, rest, f"the secret {name!r} is not set (mcp-gateway secrets set {name})")


def _keyring(reference: str, environment: Environment) -> str:
    from mcp_gateway.security import system_keyring

    name, rest = _stored_name("keyring", reference)
    if not system_keyring.is_installed():
        raise Unresolved(f"'${{keyring:{name}}}' needs the extra 'keyring'; or use ${{secret:{name}}}")
    missing = f"the system's keyring has no {name!r} (keyring set {system_keyring.SERVICE} {name})"
    return _or_else(system_keyring.read(name), rest, missing)


def _stored_name(scheme: str, reference: str) -> tuple[str, str]:
    """`name:-default` in its two parts, `:` left out. Raises Misspelled."""
    name, colon, rest = reference.partition(":")
    if not is_secret_name(name) or (colon and not rest.startswith(("-", "?"))):
        raise Misspelled(f"'${{{scheme}:...}}' needs a name: {NAME_RULE}")
    return name, rest


_SCHEMES: dict[str, Callable[[str, Environment], str]] = {
    "env": _variable,
    "file": _file,
    "input": _input,
    "secret": _secret,
    "keyring": _keyring,
}
