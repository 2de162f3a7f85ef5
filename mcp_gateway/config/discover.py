"""Where things are: the configuration file to use, and the folders for state and cache."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE_NAME = "gateway.yaml"
APPLICATION = "mcp-gateway"
HOME_VARIABLE = "MCP_GATEWAY_HOME"


@dataclass(frozen=True, slots=True)
class Folders:
    """The platform's folders for us; absolute, and perhaps not there yet."""

    config: Path
    state: Path
    cache: Path


def find_config(explicit: Path | None, *, environ: Mapping[str, str], folder: Path) -> Path | None:
    """The file that was named, else `gateway.yaml` in `folder`, else the one in the user's config folder.

    A named file is not checked: reading it tells what is wrong. None when nothing was named and nothing is there.
    """
    if explicit is not None:
        return explicit
    places = (folder / FILE_NAME, folders(environ).config / FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def file_key(config: Path) -> str:
    """Under what the state of a configuration file is kept: 16 hexadecimal digits.

    The same whichever way its folder is named. A file that is a link keeps its own name: it may be pointed elsewhere.
    """
    return hashlib.sha256(str(config.parent.resolve() / config.name).encode()).hexdigest()[:16]


def folders(environ: Mapping[str, str], platform: str = sys.platform) -> Folders:
    """Where state and cache live: `MCP_GATEWAY_HOME` before the XDG variables before the platform's custom.

    A relative XDG path is ignored, as the XDG base directory specification demands.
    """
    home = Path(environ.get("HOME") or Path.home())
    usual = _usual(home, platform)
    config = _xdg(environ, "XDG_CONFIG_HOME", usual.config)
    if own := environ.get(HOME_VARIABLE):
        ours = Path(own).absolute()
        return Folders(config, ours, ours / "cache")
    state = _xdg(environ, "XDG_STATE_HOME", usual.state)
    return Folders(config, state, _xdg(environ, "XDG_CACHE_HOME", usual.cache))


def _xdg(environ: Mapping[str, str], variable: str, usual: Path) -> Path:
    folder = Path(environ.get(variable, ""))
    return folder / APPLICATION if folder.is_absolute() else usual


def _usual(home: Path, platform: str) -> Folders:
    config = home / ".config" / APPLICATION
    if platform == "darwin":
        library = home / "Library"
        return Folders(config, library / "Application Support" / APPLICATION, library / "Caches" / APPLICATION)
    return Folders(config, home / ".local" / "state" / APPLICATION, home / ".cache" / APPLICATION)
