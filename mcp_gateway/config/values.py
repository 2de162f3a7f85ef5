"""The kinds of value that settings have: durations, sizes, switches, addresses, paths.

Each takes the text of the file and leaves a plain value. Errors say what was expected
and never show the text; `messages` decides whether it may be quoted.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from mcp_gateway.config.environment import absolute
from mcp_gateway.security.addresses import networks

_NUMBER = r"(\d{1,15}(?:\.\d{1,9})?|\.\d{1,9})"
_DURATION = re.compile(rf"{_NUMBER}\s*(ms|s|m|h|d|w)?", re.ASCII)
_SIZE = re.compile(rf"{_NUMBER}\s*([KMGT]i?)?B?", re.ASCII | re.IGNORECASE)
_RATE = re.compile(rf"{_NUMBER}\s*/\s*(s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def wrong(text: str) -> PydanticCustomError:
    """An error whose message follows the value: `'x' is not ...`."""
    return PydanticCustomError("setting", "{text}", {"text": text})


def boolean(value: Any) -> Any:
    """YAML 1.2 knows true and false only; where a boolean is expected we read the older spellings too."""
    if isinstance(value, str) and value.casefold() in _TRUE | _FALSE:
        return value.casefold() in _TRUE
    if isinstance(value, bool):
        return value
    raise wrong("is not true or false")


def switch(value: Any) -> Any:
    if value == "auto":
        return value
    try:
        return boolean(value)
    except PydanticCustomError:
        raise wrong("is not true, false or auto") from None


def seconds(value: Any) -> float:
    """`300`, `30s`, `1.5h`, `7d` -> seconds."""
    if match := _DURATION.fullmatch(str(value).strip()):
        return float(match[1]) * _SECONDS[match[2] or "s"]
    raise wrong("is not a duration such as 30, 30s, 5m or 7d")


def size(value: Any) -> int:
    """`1024`, `64MiB`, `512KB` -> bytes; KiB counts by 1024, KB by 1000."""
    match = _SIZE.fullmatch(str(value).strip())
    if match is None:
        raise wrong("is not a size such as 4096, 512KB or 64MiB")
    unit = (match[2] or "").lower()
    base = 1024 if unit.endswith("i") else 1000
    return int(float(match[1]) * base ** _POWERS[unit[:1]])


def per_second(value: Any) -> float:
    """`20/s`, `100/m` -> calls a second."""
    match = _RATE.fullmatch(str(value).strip())
    if match is None or float(match[1]) == 0:
        raise wrong("is not a rate such as 20/s or 100/m")
    return float(match[1]) / _SECONDS[match[2]]


def backoff(value: Any) -> Any:
    """`0.5..30` -> (0.5, 30.0); a list of two is read too."""
    parts = value.split("..") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) != 2:
        raise wrong("is not a range of seconds such as 0.5..30")
    low, high = seconds(parts[0]), seconds(parts[1])
    if not 0 < low <= high:
        raise wrong("is not a range of seconds, from the shorter to the longer")
    return low, high


def off(value: Any) -> Any:
    return None if isinstance(value, str) and value.casefold() in {"off", "false", "no", "never"} else value


def web_address(value: str) -> str:
    """An http or https URL with a host. One with an unresolved reference belongs to a skipped server: it passes."""
    if "${" in value:
        return value
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise wrong("is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wrong("is not a URL that starts with http:// or https://")
    if re.search(r"[\x00-\x20\x7f]", value):
        raise wrong("is not a URL: it holds a space or a control character")
    return value


def local_path(value: Path, info: ValidationInfo) -> Path:
    """Relative paths start at the folder of the configuration file; `~` is the home folder."""
    context = info.context or {}
    return absolute(str(value), context.get("folder", Path()), context.get("environ", {}))


def no_nul(value: str) -> str:
    if "\x00" in value:
        raise wrong("holds a NUL character")
    return value


def host_name(value: str) -> str:
    if not value or re.search(r"[\s/@]", value):
        raise wrong("is not a host name or address")
    return value


def base_path(value: str) -> str:
    if value and (not value.startswith("/") or value.endswith("/") or re.search(r"[\s?#]", value)):
        raise wrong("is not a path such as /gateway: a leading slash, none at the end")
    return value


def network(value: str) -> str:
    try:
        networks([value])
    except ValueError:
        raise wrong("is not an address or a network such as 10.0.0.0/8") from None
    return value


def listed(value: Any) -> Any:
    """One text where a list is expected is a list of one."""
    return [value] if isinstance(value, str) else value


T = TypeVar("T")
_TEXT_OR_NUMBER = {"type": ["number", "string"]}

Bool = Annotated[bool, BeforeValidator(boolean)]
Switch = Annotated[bool | Literal["auto"], BeforeValidator(switch)]
Seconds = Annotated[float, BeforeValidator(seconds), WithJsonSchema(_TEXT_OR_NUMBER)]
Bytes = Annotated[int, BeforeValidator(size), WithJsonSchema(_TEXT_OR_NUMBER)]
Rate = Annotated[float, BeforeValidator(per_second), WithJsonSchema({"type": "string"})]
Backoff = Annotated[tuple[float, float], BeforeValidator(backoff), WithJsonSchema({"type": ["string", "array"]})]
OrOff = Annotated[T | None, BeforeValidator(off)]
Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Url = Annotated[str, AfterValidator(web_address)]
Text = Annotated[str, AfterValidator(no_nul)]
Host = Annotated[str, AfterValidator(host_name)]
Network = Annotated[str, AfterValidator(network)]
BasePath = Annotated[str, AfterValidator(base_path)]
LocalPath = Annotated[Path, AfterValidator(local_path)]
Globs = Annotated[tuple[str, ...], BeforeValidator(listed), WithJsonSchema({"type": ["array", "string"]})]


def secret_url(value: SecretStr) -> SecretStr:
    web_address(value.get_secret_value())
    return value


SecretUrl = Annotated[SecretStr, AfterValidator(secret_url)]
