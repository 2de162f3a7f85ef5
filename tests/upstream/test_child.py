"""What a child process is given: its environment, and the program behind a command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from mcp_gateway.errors import UpstreamStartFailed
from mcp_gateway.upstream.child import child_environment, resolve_command

BESIDE_US = str(Path(sys.executable).parent)


def folders(environment: dict[str, str]) -> list[str]:
    return environment["PATH"].split(os.pathsep)


def program(folder: Path, name: str, mode: int = 0o755) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_only_harmless_variables_are_passed_on() -> None:
    environ = {
        "HOME": "/home/me",
        "LANG": "C.UTF-8",
        "https_proxy": "http://proxy",
        "SSL_CERT_FILE": "/ca.pem",
        "NODE_EXTRA_CA_CERTS": "/ca.pem",
        "API_KEY": "secret",
        "LD_PRELOAD": "/evil.so",
        "PYTHONPATH": "/src",
    }
    passed = child_environment({}, environ)
    assert passed.keys() - {"PATH"} == environ.keys() - {"API_KEY", "LD_PRELOAD", "PYTHONPATH"}


def test_an_entrys_own_variables_are_added_and_win() -> None:
    passed = child_environment({"TOKEN": "t", "LANG": "de_DE"}, {"LANG": "C", "PATH": "/bin"})
    assert (passed["TOKEN"], passed["LANG"]) == ("t", "de_DE")


def test_an_entrys_own_path_is_taken_as_it_is() -> None:
    assert child_environment({"PATH": "/only"}, {"PATH": "/bin", "HOME": "/root"})["PATH"] == "/only"


def test_the_path_begins_beside_us_and_goes_on_as_given() -> None:
    assert folders(child_environment({}, {"PATH": "/b:/a::/b"}))[:3] == [BESIDE_US, "/b", "/a"]


def test_without_a_path_the_systems_default_is_used() -> None:
    assert set(os.defpath.split(os.pathsep)) - {""} <= set(folders(child_environment({}, {})))


def test_the_usual_folders_of_a_user_follow_when_they_exist(tmp_path: Path) -> None:
    for folder in (".local/bin", ".cargo/bin", ".volta/bin", ".pyenv/shims", ".asdf/shims"):
        (tmp_path / folder).mkdir(parents=True)
    found = folders(child_environment({}, {"HOME": str(tmp_path), "PATH": "/bin"}))
    ours = [folder.removeprefix(f"{tmp_path}/") for folder in found if folder.startswith(str(tmp_path))]
    assert ours == [".local/bin", ".cargo/bin", ".volta/bin", ".asdf/shims", ".pyenv/shims"]
    assert found.index("/bin") < found.index(str(tmp_path / ".local/bin"))


def test_the_newest_node_of_nvm_comes_first(tmp_path: Path) -> None:
    for version in ("v9.1.0", "v22.3.1", "v20.18.0", "system"):
        (tmp_path / ".nvm/versions/node" / version / "bin").mkdir(parents=True)
    found = folders(child_environment({}, {"HOME": str(tmp_path), "PATH": "/bin"}))
    assert [Path(folder).parent.name for folder in found if ".nvm" in folder] == ["v22.3.1", "v20.18.0", "v9.1.0"]


def test_a_bare_command_is_found_on_the_path(tmp_path: Path) -> None:
    program(tmp_path / "empty", "other")
    tool = program(tmp_path / "bin", "tool")
    assert resolve_command("tool", f"{tmp_path / 'empty'}:{tmp_path / 'bin'}") == str(tool)


def test_a_command_with_a_slash_is_relative_to_its_folder(tmp_path: Path) -> None:
    tool = program(tmp_path / "bin", "tool")
    assert resolve_command("bin/tool", "", str(tmp_path)) == str(tool)
    assert resolve_command(str(tool), "") == str(tool)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("uvx", "'uvx' is not on PATH; install uv or give the full path"),
        ("tool", "'tool' is not on PATH; install it or give the full path"),
        ("locked", "'locked' is on PATH but not executable; chmod +x it"),
        ("./locked", "'locked' is not executable; chmod +x it"),
        ("./none", "'none' does not exist at the given path; check the path"),
        ("bin/..", "is a folder; give the path of a program"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_with_a_hint(tmp_path: Path, command: str, reason: str) -> None:
    program(tmp_path, "locked", mode=0o644)
    (tmp_path / "bin").mkdir()
    with pytest.raises(UpstreamStartFailed) as caught:
        resolve_command(command, str(tmp_path), str(tmp_path), server="x")
    assert caught.value.message.startswith("upstream 'x' cannot start: ")
    assert caught.value.message.endswith(reason)
    assert str(tmp_path) not in caught.value.message


def test_without_a_servers_name_the_message_still_reads() -> None:
    with pytest.raises(UpstreamStartFailed, match=r"^cannot start: 'tool' is not on PATH"):
        resolve_command("tool", "")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UpstreamStartFailed, match="working folder"):
        resolve_command("sh", "/bin", str(tmp_path / "none"))
