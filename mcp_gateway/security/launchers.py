"""Commands that fetch what they run, and whether they say which version (R-SUP-1).

A command line enters; what to write instead leaves, or nothing. A program that is on the machine is pinned by being
there, and so is a path. Nothing is looked up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mcp_gateway.security.images import is_pinned as is_pinned_image


@dataclass(frozen=True, slots=True)
class Launcher:
    """One way to run what is fetched; `verbs` are the words that have to follow the program, any of these.

    What is fetched is named by the options `instead`, else by the first operand, and by the options `besides`. `fix`
    is what to write for a `{name}`. `takes_value` tells of an option that names nothing whether its value follows.
    """

    verbs: tuple[tuple[str, ...], ...]
    is_pinned: Callable[[str], bool]
    fix: str
    takes_value: Callable[[str], bool]
    instead: frozenset[str] = frozenset()
    besides: frozenset[str] = frozenset()
    has_operand: bool = True

    def rest(self, words: Sequence[str]) -> Sequence[str] | None:
        """What follows the verb; None where it is another one."""
        for verb in self.verbs:
            if tuple(words[: len(verb)]) == verb:
                return words[len(verb) :]
        return None

    def unpinned(self, words: Sequence[str]) -> list[str]:
        """What is fetched in whatever version there is."""
        instead, besides, operand = self._named(words)
        fetched = instead or ([operand] if operand is not None and self.has_operand else [])
        return [spec for spec in (*fetched, *besides) if not self.is_pinned(spec)]

    def _named(self, words: Sequence[str]) -> tuple[list[str], list[str], str | None]:
        """The values of `instead` and of `besides`, and the first operand."""
        instead: list[str] = []
        besides: list[str] = []
        rest = iter(words)
        for word in rest:
            if word == "--":
                return instead, besides, next(rest, None)
            if not word.startswith("-"):
                return instead, besides, word
            option, equals, value = word.partition("=")
            named = instead if option in self.instead else besides if option in self.besides else None
            if named is not None:
                named.append(value if equals else next(rest, ""))
            elif not equals and self.takes_value(option):
                next(rest, None)
        return instead, besides, None


def advice(argv: Sequence[str]) -> str | None:
    """What is wrong with a command line that does not pin what it fetches, and what to write; None where it does.

    Launchers are found behind wrappers too (`env`, `cmd /c`, `docker run IMAGE npx ...`).
    """
    if _stem(argv[0]) in _SHELLS and any(map(_SHELL_TEXT.search, argv[1:])):
        return "a shell text fetches what it runs; write that program as command and its words as args"
    for at, word in enumerate(argv):
        for launcher in LAUNCHERS.get(_stem(word), ()):
            rest = launcher.rest(argv[at + 1 :])
            for spec in () if rest is None else launcher.unpinned(rest):
                return f"{_stem(word)} fetches whatever version is newest; {launcher.fix.format(name=_name(spec))}"
    return None


# -- what counts as pinned ---------------------------------------------------------------------------------------------

_LOCAL = re.compile(r"(\.|/|~|file:|[A-Za-z]:[\\/]).*", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NODE = re.compile(
    r"((npm:|jsr:)/?)?(@[\w.-]+/)?[\w.-]+@(npm:(@[\w.-]+/)?[\w.-]+@)?\d+\.\d+\.\d+(-[\w.-]+)?(\+[\w.-]+)?(/.*)?"
)
_PYTHON = re.compile(r"[\w.-]+(\[[^\]]*\])?\s*(===?\s*[^\s*,;<>=~!]+|@\d[^\s*]*)")
_GO = re.compile(r"[^@\s]+@v\d+\.\d+\.\d+\S*")


def is_pinned_node(spec: str) -> bool:
    """An exact version, no tag and no range; a commit of a repository; a path."""
    _, hash, commit = spec.rpartition("#")
    if hash and _COMMIT.fullmatch(commit):
        return True
    return _LOCAL.fullmatch(spec) is not None or _NODE.fullmatch(spec) is not None


def is_pinned_python(spec: str) -> bool:
    """`==`, or uv's `@`, with a version, for each of several; a commit; an archive with its hash; a path."""
    if "://" in spec:
        location, _, fragment = spec.partition("#")
        return "sha256=" in fragment or _COMMIT.fullmatch(location.rpartition("@")[2]) is not None
    parts = re.split(r",(?![^\[]*\])", spec)
    return _LOCAL.fullmatch(spec) is not None or all(_PYTHON.fullmatch(part.strip()) for part in parts)


def is_pinned_go(spec: str) -> bool:
    """A package without `@` is that of the folder, with its go.sum."""
    return "@" not in spec or _GO.fullmatch(spec) is not None


def is_pinned_deno(spec: str) -> bool:
    """A file is on the machine; what has a scheme is fetched."""
    return ":" not in spec or is_pinned_node(spec)


# -- the launchers -----------------------------------------------------------------------------------------------------

_NPM_VALUES = frozenset({"--registry", "--cache", "--prefix", "--userconfig", "-w", "--workspace", "--loglevel", "-n"})
_UV_VALUES = frozenset(
    {
        *(
            "-p",
            "--python",
            "-i",
            "--index",
            "--default-index",
            "--index-url",
            "--extra-index-url",
            "-f",
            "--find-links",
        ),
        *("--env-file", "--cache-dir", "--directory", "--project", "--config-file", "-C", "--config-setting", "-b"),
        *("-c", "--constraints", "--overrides", "--build-constraints", "--prerelease", "--resolution", "--extra"),
        *(
            "--index-strategy",
            "--keyring-provider",
            "--link-mode",
            "--exclude-newer",
            "--color",
            "--group",
            "--package",
        ),
        *("--refresh-package", "--reinstall-package", "-P", "--upgrade-package", "--allow-insecure-host", "-m"),
        *("--module", "--with-editable", "--python-platform"),
    }
)
_DENO_VALUES = frozenset({"-c", "--config", "--import-map", "--lock", "--cert", "--env-file"})
_DOCKER_FLAGS = frozenset(
    {
        *("--rm", "--init", "--interactive", "--tty", "--detach", "--privileged", "--read-only", "--publish-all"),
        *("--no-healthcheck", "--oom-kill-disable", "--sig-proxy", "--quiet", "--use-api-socket", "--replace"),
    }
)
_DOCKER_LETTERS = "itdPq"


def _docker_takes_value(option: str) -> bool:
    """Most do. Of letters together, the first that is no flag takes what follows, or the next word."""
    if option.startswith("--"):
        return option not in _DOCKER_FLAGS
    return len(option[1:].lstrip(_DOCKER_LETTERS)) == 1


def _npm(*verbs: tuple[str, ...]) -> Launcher:
    fix = "write an exact version: {name}@1.2.3"
    return Launcher(verbs, is_pinned_node, fix, _NPM_VALUES.__contains__, frozenset({"-p", "--package"}))


def _uv(*verbs: tuple[str, ...], has_operand: bool = True) -> Launcher:
    fix, besides = "write an exact version: {name}==1.2.3", frozenset({"--with", "-w", "--with-requirements"})
    instead = frozenset({"--from", "--spec"} if has_operand else ())
    return Launcher(verbs, is_pinned_python, fix, _UV_VALUES.__contains__, instead, besides, has_operand)


_DOCKER = Launcher(
    (("run",), ("container", "run")), is_pinned_image, "name its digest: {name}@sha256:...", _docker_takes_value
)

LAUNCHERS: Final[Mapping[str, tuple[Launcher, ...]]] = {
    "npx": (_npm(()),),
    "pnpx": (_npm(()),),
    "bunx": (_npm(()),),
    "npm": (_npm(("exec",), ("x",)),),
    "pnpm": (_npm(("dlx",)),),
    "yarn": (_npm(("dlx",)),),
    "bun": (_npm(("x",)),),
    "uvx": (_uv(()),),
    "uv": (_uv(("tool", "run")), _uv(("run",), has_operand=False)),
    "pipx": (_uv(("run",)),),
    "deno": (Launcher((("run",),), is_pinned_deno, "write an exact version: {name}@1.2.3", _DENO_VALUES.__contains__),),
    "go": (Launcher((("run",),), is_pinned_go, "write an exact version: {name}@v1.2.3", "-C".__eq__),),
    "docker": (_DOCKER,),
    "podman": (_DOCKER,),
}
"""Program -> the ways in which it fetches."""

_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "fish", "cmd", "powershell", "pwsh"})
_SHELL_TEXT = re.compile(rf"(?=.*\s)(?<![\w.-])({'|'.join(LAUNCHERS)})(\.cmd|\.exe)?\s", re.DOTALL)
_NAME = re.compile(r"(@[\w.-]+/)?[A-Za-z0-9][\w./-]{0,99}")


def _stem(word: str) -> str:
    """The program's name, without its folder and what Windows adds."""
    return re.sub(r"\.(exe|cmd|bat|ps1)$", "", re.split(r"[/\\]", word)[-1].lower())


def _name(spec: str) -> str:
    """What is fetched, without its version; a URL may hold a password, and is not quoted."""
    match = None if "://" in spec else _NAME.match(spec)
    return "NAME" if match is None else match[0]
