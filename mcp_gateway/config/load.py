"""One configuration file to one `Config`, or to all of its problems at once."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticCustomError

from mcp_gateway.config.check import checked
from mcp_gateway.config.document import Unreadable, read_document
from mcp_gateway.config.entries import ReadServer, read_server, report_findings
from mcp_gateway.config.environment import DOTENV, Environment, read_env_file
from mcp_gateway.config.interpolate import Interpolator
from mcp_gateway.config.model import Config, Settings
from mcp_gateway.config.pinned import hold_pinned
from mcp_gateway.config.problems import Report, nearest
from mcp_gateway.config.roots import Root, take_apart
from mcp_gateway.config.tree import Entry, Items, Leaf, Mark, Node, Origin, Table, is_null, leaves, locate
from mcp_gateway.config.values import web_address

MIN_SECRET = 6
"""Shorter texts are not kept as secrets: hiding every `true` and `8080` would make logs unreadable. Our choice."""


def load_config(path: Path, *, environ: Mapping[str, str]) -> Config:
    """Read and check the file at `path`; `environ` is the environment that references see.

    Raises:
        BadConfig: the message lists every problem, one line each, without any secret.
    """
    report = Report(path.name)
    root = take_apart(read_document(path, report), path, report)
    _note_permissions(path, report)
    environment, file_notes = _environment(root, Environment(path.absolute().parent, environ), report)
    found = _settings(root.sections, report, environment)
    servers = {named.name: read_server(named, report, environment) for named in root.servers}
    _check_profiles(root, report)
    if found is None or report.problems:
        raise report.error()
    servers = hold_pinned(root.servers, servers, report, required=found.settings.security.require_pinned)
    return _config(path, found, {name: read for name, read in servers.items() if read}, report, file_notes)


@dataclass(frozen=True, slots=True)
class _ReadSettings:
    """Every section, and the values that references put into them."""

    settings: Settings
    values: frozenset[str]


def _config(
    path: Path, found: _ReadSettings, servers: Mapping[str, ReadServer], report: Report, file_notes: Iterable[str]
) -> Config:
    models = {name: read.server for name, read in servers.items()}
    texts = {text for text in _secret_texts([found.settings, models]) if "${" not in text}
    texts.update(found.values, *(read.values for read in servers.values()))
    # Every part has been validated; building one more validator over all of them would take 20 ms (2026-11-24).
    return Config.model_construct(
        **{name: getattr(found.settings, name) for name in Settings.model_fields},
        path=path.absolute(),
        servers=models,
        skipped={name: read.skipped for name, read in servers.items() if read.skipped},
        notes=(*report.rendered_notes(), *file_notes),
        secrets=frozenset(text for text in texts if len(text) >= MIN_SECRET),
    )


def _note_permissions(path: Path, report: Report) -> None:
    with suppress(OSError):  # it may have been replaced since it was read
        if path.stat().st_mode & stat.S_IWOTH:
            report.note(Mark(1, 1), "", "everybody on this machine may change this file, and so what is run")


def _environment(root: Root, environment: Environment, report: Report) -> tuple[Environment, list[str]]:
    """Add `.env` beside the file, then each of `env_files`; only a file that was asked for must be there."""
    notes: list[str] = []
    start = Leaf(DOTENV, Mark(1, 1))
    wanted = [start] if (environment.folder / DOTENV).is_file() else []
    for leaf in (*wanted, *_listed_files(root.sections, environment)):
        try:
            file = read_env_file(environment.path(leaf.text or ""))
        except Unreadable as reason:
            report.problem(leaf.mark, "env_files", f"{Path(leaf.text or '').name!r}: {reason}")
            continue
        environment = environment.with_file(file)
        notes += file.notes
    return environment, notes


def _listed_files(sections: Table, environment: Environment) -> list[Leaf]:
    """The names under `env_files` besides `.env`; one that cannot be resolved is reported with the sections."""
    entry = sections.get("env_files")
    if entry is None:
        return []
    nodes: tuple[Node, ...] = entry.value.items if isinstance(entry.value, Items) else (entry.value,)
    interpolator = Interpolator(environment)
    names = [interpolator.leaf(node, "") for node in nodes if isinstance(node, Leaf)]
    return [name for name in names if name.text not in (None, DOTENV) and name.origin is not Origin.UNRESOLVED]


def _settings(sections: Table, report: Report, environment: Environment) -> _ReadSettings | None:
    interpolator = Interpolator(environment)
    tree = interpolator.table(sections, "")
    report_findings(interpolator, report)
    for found in interpolator.unresolved:
        report.problem(found.leaf.mark, found.path, found.text)
    tree = _with_model_variables(tree, report, environment)
    settings = checked(Settings, tree, "", report, environment)
    return _ReadSettings(settings, frozenset(interpolator.values)) if settings else None


def _with_model_variables(sections: Table, report: Report, environment: Environment) -> Table:
    """API_KEY, BASE_URL and MODEL speak where the `llm` section is silent."""
    entry = sections.get("llm") or Entry("llm", sections.mark, Table((), sections.mark), "llm")
    llm = Table((), entry.mark) if is_null(entry.value) else entry.value
    if not isinstance(llm, Table):
        return sections  # the model says what is wrong with it
    for key in ("api_key", "base_url", "model"):
        value = environment.get(key.upper())
        written = llm.get(key)
        silent = written is None or llm.text(key) == "" or is_null(written.value)
        if not silent or not value:
            continue
        if key == "base_url" and not _is_web_address(value):
            report.note(entry.mark, "llm", "the variable BASE_URL is not an http or https URL; ignored")
        else:
            llm = llm.put(Entry(key, entry.mark, Leaf(value, entry.mark, Origin.INTERPOLATED), key))
    return sections.put(replace(entry, value=llm))


def _is_web_address(text: str) -> bool:
    try:
        web_address(text)
    except PydanticCustomError:
        return False
    return "${" not in text


def _check_profiles(root: Root, report: Report) -> None:
    """A profile that names a server which is not there is a slip of the pen."""
    names = [named.name for named in root.servers]
    profiles = root.sections.get("profiles")
    for profile in profiles.value.entries if profiles and isinstance(profiles.value, Table) else ():
        place = locate(profile.value, ("servers",))
        for leaf in leaves(place.node) if place.path else ():
            pattern = leaf.text or ""
            if "$" not in pattern and pattern != "*" and not any(fnmatchcase(name, pattern) for name in names):
                path = f"profiles.{profile.written}.servers"
                report.problem(leaf.mark, path, f"no server matches {pattern!r}{nearest(pattern, names)}")


def _secret_texts(value: object) -> Iterator[str]:
    """Every secret below, and what a header or URL wraps around: the token, the user's password."""
    if isinstance(value, SecretStr):
        yield from _with_parts(value.get_secret_value().strip())
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secret_texts(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secret_texts(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _secret_texts(inner)
    elif isinstance(value, str):
        yield from _passwords(value)


def _with_parts(text: str) -> Iterator[str]:
    scheme, _, token = text.partition(" ")
    yield from _passwords(text)
    if token:
        yield token
    if token or scheme.casefold() not in ("bearer", "basic"):
        yield text


def _passwords(text: str) -> Iterator[str]:
    """The password in `scheme://user:password@host`, as it stands there."""
    if match := re.match(r"[a-z][a-z0-9+.-]*://[^/?#]*?:([^/?#]*)@", text, re.IGNORECASE):
        yield match[1]
