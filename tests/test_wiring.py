"""From the configuration to the terms of each room."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
from mcp_gateway.cache import Cache, Scope
from mcp_gateway.catalog import Caps, Kind, Order, Prefix, Route, SchemaCompat
from mcp_gateway.config import Config, load_config
from mcp_gateway.errors import BadConfig
from mcp_gateway.sandbox import Container
from mcp_gateway.security.pins import Trust
from mcp_gateway.upstream.oauth.account import LoginSettings
from mcp_gateway.wiring import (
    caching,
    call_time_s,
    caps,
    container,
    definitions,
    http_rules,
    kept_answers,
    model_settings,
    surface,
    transport,
    trust,
)

SHELF: dict[str, bytes] = {}


class Shelf(Cache):
    """A back end as a stranger would write it."""

    def get(self, key: str, ttl: float | None = None) -> bytes | None:
        return SHELF.get(key)

    def set(self, key: str, value: bytes, persist: bool = True) -> None:
        SHELF[key] = value


def loaded(folder: Path, text: str) -> Config:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return load_config(path, environ={"TOKEN": "the-first-token"})


def no_login(server: str, url: str, settings: LoginSettings, principal: str | None) -> NoReturn:
    raise AssertionError("no server of these tests wants a login")


async def no_sandbox() -> str:
    return "this test has none"


def test_http_is_plain_unless_the_file_has_a_certificate(tmp_path: Path) -> None:
    plain = transport(loaded(tmp_path, "server: {trusted_proxies: [10.0.0.1]}"))
    secure = transport(loaded(tmp_path, "server: {tls: {cert: a.pem, key: b.pem}}"))
    assert (plain.scheme, plain.trusted_proxies) == ("http", ("10.0.0.1",))
    assert (secure.scheme, Path(str(secure.certificate)).name, Path(str(secure.key)).name) == (
        "https",
        "a.pem",
        "b.pem",
    )


def test_every_server_is_trusted_as_its_entry_says(tmp_path: Path) -> None:
    text = "mcpServers: {a: {command: a}, b: {command: b, trust: strict}, c: {command: c, trust: off}}"
    assert trust(loaded(tmp_path, text)) == {"a": Trust.FIRST_USE, "b": Trust.STRICT, "c": Trust.OFF}


def test_what_is_taken_of_an_offer_is_what_the_file_says(tmp_path: Path) -> None:
    text = "security: {max_tools: 7, max_description: 1KiB, max_schema: 2KiB, clean_texts: false}"
    config = loaded(tmp_path, text)
    assert caps(config) == Caps(tools=7, description_bytes=1024, schema_bytes=2048)
    assert caps(loaded(tmp_path, "mcpServers: {}")) == Caps()
    assert not surface(config, {}).expose.clean_texts


def test_the_bound_address_is_an_allowed_host(tmp_path: Path) -> None:
    rules = http_rules(loaded(tmp_path, "server: {allowed_hosts: [a.example]}\nlimits: {max_body: 1MiB}"), "127.0.0.2")
    assert (rules.allowed_hosts, rules.max_body_bytes) == (("127.0.0.2", "a.example"), 1024**2)


def test_definitions_keep_the_order_and_say_why_a_server_is_left_out(tmp_path: Path) -> None:
    text = """
mcpServers:
  off: {command: a, disabled: true}
  unset: {command: a, env: {KEY: "${NOT_SET}"}}
  on: {command: a}
"""
    found = definitions(loaded(tmp_path, text), {}, no_sandbox, no_login)
    assert [definition.name for definition in found] == ["off", "unset", "on"]
    reasons = [definition.disabled or "" for definition in found]
    for reason, words in zip(reasons, ["switched off", "NOT_SET", ""], strict=True):
        assert words in reason
    assert reasons[-1] == ""


def test_names_of_servers_that_are_gone_are_not_held(tmp_path: Path) -> None:
    config = loaded(tmp_path, "mcpServers: {a: {command: a, prefix: p}}\nexpose: {prefix: collision, order: name}")
    given = {(Kind.TOOL, "a", "x"): "x", (Kind.TOOL, "gone", "y"): "y"}
    view = surface(config, given)
    assert view.expose.sticky == {(Kind.TOOL, "a", "x"): "x"}
    assert (view.expose.prefix, view.expose.order, view.expose.schema_compat) == (
        Prefix.COLLISION,
        Order.NAME,
        SchemaCompat.SAFE,
    )
    assert view.servers["a"].prefix == "p"


def test_tools_that_any_setting_of_a_server_names_can_be_missed(tmp_path: Path) -> None:
    text = """
mcpServers:
  a:
    command: a
    tools: {include: ["*", i], exclude: [e], rename: {r: s}, describe: {d: "D."}, timeout: {t: 5}}
    cache: {tools: [c, "get_*"]}
"""
    rules = surface(loaded(tmp_path, text), {}).servers["a"]
    assert "".join(name for _, name in rules.unmatched(())) == "ierdtc"


def test_a_servers_own_time_to_live_comes_before_the_common_one(tmp_path: Path) -> None:
    text = """
mcpServers:
  a: {url: "http://a.example", headers: {Authorization: "Bearer ${TOKEN}"}, cache: {auto: true}, isolation: session}
  b: {command: b, cache: {tools: ["get_*"], ttl: 7, stale: 60}}
cache: {ttl: 30}
"""
    rules = caching(loaded(tmp_path, text), lambda server, principal: "")
    assert (rules["a"].ttl_s, rules["a"].auto, rules["a"].scope) == (30.0, True, Scope.SESSION)
    assert (rules["b"].ttl_s, rules["b"].tools, rules["b"].scope) == (7.0, ("get_*",), Scope.PRINCIPAL)
    assert (rules["a"].stale_s, rules["b"].stale_s) == (0.0, 60.0)
    assert rules["a"].credential != rules["b"].credential
    assert "the-first-token" not in rules["a"].credential


def test_another_login_is_another_credential(tmp_path: Path) -> None:
    config = loaded(tmp_path, "mcpServers: {a: {url: 'http://a.example', auth: oauth}}")
    nobody, somebody = (
        caching(config, lambda server, principal: ""),
        caching(config, lambda server, principal: f"somebody at {server}"),
    )
    assert nobody["a"].credential != somebody["a"].credential


def test_callers_that_are_isolated_share_no_answer(tmp_path: Path) -> None:
    text = """
mcpServers:
  a: {command: x, isolation: user}
  b: {url: 'http://b.example', auth: oauth, isolation: user}
  c: {command: x}
"""
    rules = caching(loaded(tmp_path, text), lambda server, principal: f"{principal} at {server}")
    owners = {name: rule.owner and rule.owner("ann") for name, rule in rules.items()}
    assert owners == {"a": "ann", "b": "ann at b", "c": None}


def test_the_time_of_a_call_is_its_tools_or_its_servers(tmp_path: Path) -> None:
    config = loaded(tmp_path, "mcpServers: {a: {command: x, timeout: 9, tools: {timeout: {slow: 70}}}}")
    routes = [Route(Kind.TOOL, at, "exposed", name) for at, name in (("a", "slow"), ("a", "x"), ("gone", "x"))]
    assert [call_time_s(config, route) for route in routes] == [70, 9, 0]


def test_the_model_is_told_its_key(tmp_path: Path) -> None:
    settings = model_settings(loaded(tmp_path, "llm: {model: m, base_url: 'http://127.0.0.1:1', api_key: '${TOKEN}'}"))
    assert (settings.model, settings.api_key, settings.keeps_all) == ("m", "the-first-token", False)
    assert model_settings(loaded(tmp_path, "llm: {cache: always}")).keeps_all


def test_a_cache_without_a_disk_has_one_level(tmp_path: Path) -> None:
    without = kept_answers(loaded(tmp_path, "cache: {disk: off}"), tmp_path / "answers.sqlite")
    assert without.stats().tiers.keys() == {"memory"}
    without.close()


def test_a_back_end_of_ones_own_stands_behind_memory(tmp_path: Path) -> None:
    SHELF.clear()
    config = loaded(tmp_path, "cache: {backend: 'tests.test_wiring:Shelf'}")
    cache = kept_answers(config, tmp_path / "answers.sqlite")
    cache.set("key", b"value")
    cache.close()

    assert kept_answers(config, tmp_path / "answers.sqlite").get("key") == b"value"
    assert not (tmp_path / "answers.sqlite").exists()


def test_a_back_end_that_is_none_is_a_bad_configuration(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="cannot be loaded"):
        kept_answers(loaded(tmp_path, "cache: {backend: 'no.such:Thing'}"), tmp_path / "answers.sqlite")


def test_the_file_of_the_cache_is_ours_unless_one_is_named(tmp_path: Path) -> None:
    for text, name in (("version: 1", "ours.sqlite"), ("cache: {disk: {path: theirs.sqlite}}", "theirs.sqlite")):
        cache = kept_answers(loaded(tmp_path, text), tmp_path / "ours.sqlite")
        cache.set("key", b"value")
        cache.close()
        assert (tmp_path / name).exists()


def test_a_container_is_made_of_what_is_written_and_of_nothing_without_an_image(tmp_path: Path) -> None:
    image = "sha256:" + "0" * 64
    written = f"tools: {{execute: {{container: {{image: '{image}', engine: podman, options: [--cgroups=disabled]}}}}}}"
    assert container(loaded(tmp_path, written)) == Container(image, "podman", ("--cgroups=disabled",))
    assert container(loaded(tmp_path, "tools: {execute: {runner: container}}")) is None
