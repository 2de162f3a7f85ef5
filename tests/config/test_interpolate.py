"""References become values, and what has no value is said without showing any."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_gateway.config.environment import EnvFile, Environment
from mcp_gateway.config.interpolate import Interpolator
from mcp_gateway.config.tree import Leaf, Mark, Origin

from tests.config.files import load, problems

ENVIRON = {"NAME": "value", "EMPTY": "", "DOLLAR": "a${NAME}$$b"}


def interpolated(folder: Path, text: str) -> tuple[Leaf, Interpolator]:
    interpolator = Interpolator(Environment(folder, ENVIRON, {"NAME": "from file", "FILED": "filed"}))
    return interpolator.leaf(Leaf(text, Mark(1, 1)), "x"), interpolator


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${NAME}", "value"),
        ("a-${NAME}-${NAME}-b", "a-value-value-b"),
        ("${env:NAME}", "value"),
        ("${FILED}", "filed"),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:b/c}", "a:b/c"),
        ("${NAME:-default}", "value"),
        ("${NAME:?message}", "value"),
        ("${env:UNSET:-default}", "default"),
        ("${env:-default}", "default"),
        ("${DOLLAR}", "a${NAME}$$b"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("$$$${NAME}", "$${NAME}"),
        ("$$${NAME}", "$value"),
        ("pa$word and $5 and 100$", "pa$word and $5 and 100$"),
    ],
)
def test_what_a_text_becomes(tmp_path: Path, text: str, value: str) -> None:
    leaf, interpolator = interpolated(tmp_path, text)

    assert leaf.text == value
    assert not interpolator.unresolved
    assert not interpolator.misspelled


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${UNSET}", "UNSET is not set"),
        ("${UNSET:?get one}", "UNSET is not set: get one"),
        ("${EMPTY:?}", "EMPTY is not set"),
        ("${file:none}", "the file of '${file:none}': no such file"),
        ("${input:key}", "'${input:key}' asks in an editor; use ${VAR} and set the variable in .env"),
        ("${secret:a}", "a secret store is not available yet (asked for 'a'); use ${VAR} or ${file:/path}"),
        ("${keyring:a}", "a secret store is not available yet (asked for 'a'); use ${VAR} or ${file:/path}"),
    ],
)
def test_a_reference_without_a_value_is_unresolved(tmp_path: Path, text: str, reason: str) -> None:
    leaf, interpolator = interpolated(tmp_path, text)

    assert [found.text for found in interpolator.unresolved] == [reason]
    assert leaf.origin is Origin.UNRESOLVED


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${NAME", "'${' without its '}'; write $$ for a plain $"),
        ("${}", "the reference that starts with '${' is not understood; write ${NAME}"),
        ("${a b}", "the reference that starts with '${a b' is not understood; write ${NAME}"),
        ("${NAME:+x}", "the reference that starts with '${NAME' is not understood; write ${NAME}"),
        ("${NAME:}", "the reference that starts with '${NAME' is not understood; write ${NAME}"),
        (
            "${" + "x-" * 30 + "}",
            f"the reference that starts with '${{{'x-' * 20}...' is not understood; write ${{NAME}}",
        ),
        ("${{ secrets.X }}", "'${' without its '}'; write $$ for a plain $"),
    ],
)
def test_what_is_no_reference_is_misspelled(tmp_path: Path, text: str, reason: str) -> None:
    assert [found.text for found in interpolated(tmp_path, text)[1].misspelled] == [reason]


def test_a_file_is_read_beside_the_configuration_without_its_last_newline(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n\n")

    assert interpolated(tmp_path, "${file:token}")[0].text == "secret\n"
    assert interpolated(tmp_path, f"${{file:{tmp_path}/token}}")[0].text == "secret\n"


def test_values_that_were_put_in_are_known(tmp_path: Path) -> None:
    assert interpolated(tmp_path, "${NAME}:${UNSET:-x}")[1].values == {"value", "x"}


def test_a_later_file_wins_and_the_environment_wins_over_all(tmp_path: Path) -> None:
    environment = Environment(tmp_path, {"A": "real"})
    for value in ("first", "second"):
        environment = environment.with_file(EnvFile({"A": value, "B": value}, ()))

    assert (environment.get("A"), environment.get("B")) == ("real", "second")


def test_a_bare_name_is_left_alone_with_a_note(tmp_path: Path) -> None:
    text = "mcpServers:\n  a: {url: 'http://h', headers: {Authorization: Bearer $TOKEN}}\n"
    config = load(tmp_path, text)

    assert config.notes == (
        "gateway.yaml:2:49: mcpServers.a.headers.Authorization: a bare $NAME is not expanded; write ${NAME}",
    )


def test_dotenv_beside_the_file_never_overrides_the_environment(tmp_path: Path) -> None:
    text = "mcpServers:\n  a: {command: '${A} ${B}'}\n"
    config = load(tmp_path, text, environ={"A": "real"}, dotenv="A=file\nexport B='from file' # comment\n")

    assert config.servers["a"].model_dump()["command"] == "real from file"


def test_listed_env_files_must_be_there(tmp_path: Path) -> None:
    assert problems(tmp_path, "env_files: [.env, secrets.env]\n") == [
        "gateway.yaml:1:19: env_files: 'secrets.env': no such file"
    ]


def test_listed_env_files_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("A=1\nB=1\n")
    (tmp_path / "two").write_text("B=2\n")
    text = "env_files: [one, '${DIR}/two']\nmcpServers: {a: {command: x, args: ['${A}${B}']}}\n"

    assert load(tmp_path, text, environ={"DIR": str(tmp_path)}).servers["a"].model_dump()["args"] == ("12",)


def test_lines_of_env_files_that_say_nothing_are_noted(tmp_path: Path) -> None:
    config = load(tmp_path, "{}", dotenv="A=1\n\n\nwhat is this\nB=2\n")

    assert config.notes == (".env:4:1: not an assignment NAME=value; ignored",)


def test_a_folder_named_dotenv_is_no_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    assert load(tmp_path, "{}", dotenv="").servers == {}
