"""References become values, and what has no value is said without showing any."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mcp_gateway.config.environment import EnvFile, Environment
from mcp_gateway.config.interpolate import Interpolator
from mcp_gateway.config.tree import Leaf, Mark, Origin
from mcp_gateway.security import system_keyring
from mcp_gateway.security.secret_name import NAME_RULE
from mcp_gateway.security.vault import Vault

from tests.config.files import load, problems
from tests.fakes.system_keyring import FakeKeyring

ENVIRON = {"NAME": "value", "EMPTY": "", "DOLLAR": "a${NAME}$$b"}


def interpolated(folder: Path, text: str) -> tuple[Leaf, Interpolator]:
    environ = {**ENVIRON, "MCP_GATEWAY_HOME": str(folder / "home")}
    interpolator = Interpolator(Environment(folder, environ, {"NAME": "from file", "FILED": "filed"}))
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
        ("${secret:stored}", "in the vault"),
        ("${secret:stored:-default}", "in the vault"),
        ("${secret:unset:-default}", "default"),
        ("${secret:-default}", "default"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("$$$${NAME}", "$${NAME}"),
        ("$$${NAME}", "$value"),
        ("pa$word and $5 and 100$", "pa$word and $5 and 100$"),
    ],
)
def test_what_a_text_becomes(tmp_path: Path, text: str, value: str) -> None:
    Vault(tmp_path / "home", {}).set("stored", "in the vault")
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
        ("${secret:a}", "the secret 'a' is not set (mcp-gateway secrets set a)"),
        ("${secret:a:?see the wiki}", "the secret 'a' is not set (mcp-gateway secrets set a): see the wiki"),
        ("${keyring:a}", "the system's keyring has no 'a' (keyring set mcp-gateway a)"),
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
        ("${secret:a/b}", f"'${{secret:...}}' needs a name: {NAME_RULE}"),
        ("${secret:}", f"'${{secret:...}}' needs a name: {NAME_RULE}"),
        ("${secret:a:b}", f"'${{secret:...}}' needs a name: {NAME_RULE}"),
        ("${keyring:a b}", f"'${{keyring:...}}' needs a name: {NAME_RULE}"),
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


def test_a_missing_secret_disables_its_server_and_no_other(tmp_path: Path) -> None:
    environ = {"MCP_GATEWAY_HOME": str(tmp_path / "home")}
    text = "mcpServers:\n  a: {command: x, env: {T: '${secret:token}'}}\n  b: {command: y}\n"
    without = load(tmp_path, text, environ=environ)
    Vault(tmp_path / "home", {}).set("token", "canary-5521")
    with_it = load(tmp_path, text, environ=environ)

    assert without.skipped == {
        "a": "gateway.yaml:2:28: mcpServers.a.env.T: the secret 'token' is not set (mcp-gateway secrets set token)"
    }
    assert with_it.skipped == {}
    assert with_it.servers["a"].model_dump()["env"]["T"].get_secret_value() == "canary-5521"


def test_a_stored_secret_is_known_as_one_wherever_it_stands(tmp_path: Path) -> None:
    environ = {"MCP_GATEWAY_HOME": str(tmp_path / "home")}
    Vault(tmp_path / "home", {}).set("token", "canary-5521")
    text = "mcpServers: {a: {command: x, args: ['--token=${secret:token}']}}\n"

    assert "canary-5521" in load(tmp_path, text, environ=environ).secrets


def test_a_value_that_looks_like_a_reference_is_a_secret_too(tmp_path: Path) -> None:
    text = "mcpServers: {a: {command: x, args: ['${PASSWORD}'], env: {U: '${UNSET}'}}}\n"

    assert load(tmp_path, text, environ={"PASSWORD": "a${b}-5521"}).secrets == {"a${b}-5521"}


def test_a_secret_that_a_section_needs_is_a_problem_of_the_file(tmp_path: Path) -> None:
    text = "llm: {api_key: '${secret:openai}'}\n"

    assert problems(tmp_path, text, environ={"MCP_GATEWAY_HOME": str(tmp_path)}) == [
        "gateway.yaml:1:16: llm.api_key: the secret 'openai' is not set (mcp-gateway secrets set openai)"
    ]


def test_a_secret_that_cannot_be_opened_disables_its_server_and_takes_no_default(tmp_path: Path) -> None:
    Vault(tmp_path, {}).set("token", "canary-5521")
    (tmp_path / "secret.key").unlink()
    text = "mcpServers: {a: {command: x, args: ['${secret:token:-default}']}}\n"
    config = load(tmp_path, text, environ={"MCP_GATEWAY_HOME": str(tmp_path)})

    assert "'${secret:token}': no key that is here opens the secret 'token'" in config.skipped["a"]
    assert config.servers["a"].model_dump()["disabled"] is True


def test_the_key_store_of_the_system_gives_values(tmp_path: Path, fake_keyring: FakeKeyring) -> None:
    system_keyring.write("token", "canary-5521")
    leaf, interpolator = interpolated(tmp_path, "${keyring:token}")

    assert leaf.text == "canary-5521"
    assert interpolator.values == {"canary-5521"}


def test_without_the_extra_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    assert [found.text for found in interpolated(tmp_path, "${keyring:a}")[1].unresolved] == [
        "'${keyring:a}' needs the extra 'keyring'; or use ${secret:a}"
    ]
