"""Which file, which folders."""

from __future__ import annotations

from pathlib import Path

from mcp_gateway.config import find_config, folders

HOME = {"HOME": "/home/me"}


def test_a_named_file_is_taken_unseen(tmp_path: Path) -> None:
    assert find_config(Path("none.yaml"), environ=HOME, folder=tmp_path) == Path("none.yaml")


def test_the_current_folder_comes_before_the_users(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert find_config(None, environ=environ, folder=tmp_path) is None

    users = tmp_path / "config" / "mcp-gateway" / "gateway.yaml"
    users.parent.mkdir(parents=True)
    users.touch()
    assert find_config(None, environ=environ, folder=tmp_path) == users

    (tmp_path / "gateway.yaml").touch()
    assert find_config(None, environ=environ, folder=tmp_path) == tmp_path / "gateway.yaml"


def test_linux_folders_follow_the_xdg_custom() -> None:
    found = folders(HOME, "linux")

    assert found.config == Path("/home/me/.config/mcp-gateway")
    assert found.state == Path("/home/me/.local/state/mcp-gateway")
    assert found.cache == Path("/home/me/.cache/mcp-gateway")


def test_xdg_variables_move_the_folders_and_relative_ones_do_not() -> None:
    environ = {**HOME, "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "c", "XDG_CONFIG_HOME": "/k"}
    found = folders(environ, "linux")

    assert (found.config, found.state) == (Path("/k/mcp-gateway"), Path("/s/mcp-gateway"))
    assert found.cache == Path("/home/me/.cache/mcp-gateway")


def test_macos_has_its_own_folders() -> None:
    found = folders(HOME, "darwin")

    assert found.state == Path("/home/me/Library/Application Support/mcp-gateway")
    assert found.cache == Path("/home/me/Library/Caches/mcp-gateway")


def test_our_own_variable_overrides_state_and_cache() -> None:
    found = folders({**HOME, "MCP_GATEWAY_HOME": "/g", "XDG_STATE_HOME": "/s"}, "linux")

    assert (found.state, found.cache) == (Path("/g"), Path("/g/cache"))
    assert found.config == Path("/home/me/.config/mcp-gateway")


def test_without_a_home_variable_the_system_knows() -> None:
    assert folders({}, "linux").state.is_relative_to(Path.home())
