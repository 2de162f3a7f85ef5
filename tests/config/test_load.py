"""The whole: sections, secrets, and that nothing but BadConfig ever comes out."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp_gateway.config import load_config
from mcp_gateway.errors import BadConfig

from tests.config.files import load, problems

SECRET = "canary-93871"


def test_sections_have_the_promised_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, "{}")

    assert (config.server.host, config.server.port, config.server.base_path) == ("127.0.0.1", 8765, "")
    assert (config.limits.rate, config.limits.max_body, config.limits.max_result) == (None, 4 * 2**20, 16 * 2**20)
    assert (config.expose.mode, config.expose.max_tools, config.expose.max_tokens) == ("auto", 40, 10_000)
    assert (config.expose.prefix, config.expose.max_name, config.expose.schema_compat) == ("always", 48, "safe")
    assert (config.cache.memory.max_bytes, config.cache.disk.path, config.cache.ttl) == (64 * 2**20, "auto", 300.0)
    assert (config.tools.execute.enabled, config.tools.execute.network, config.tools.sysinfo.detail) == (
        "auto",
        False,
        "basic",
    )
    assert (config.auth.required, config.observability.calls.keep, config.reload.debounce_ms) == (
        "auto",
        604_800.0,
        300,
    )
    assert config.tools.analyze_code.roots == (tmp_path,)
    assert config.path == tmp_path / "gateway.yaml"
    assert config.notes == ()


def test_settings_are_read_with_their_units(tmp_path: Path) -> None:
    text = """
expose: search
limits: {rate: 600/m, burst: 40, max_body: 512KB, max_result: 1.5MiB}
cache: {disk: off, ttl: 7d, memory: {max_bytes: 4096}}
observability: {calls: {keep: off}, otlp: "${OTLP:-}", alerts: {memory: 1GiB}}
tools: {execute: {enabled: yes, memory: 64MiB}, search: {providers: [{type: searxng, url: "http://s"}]}}
auth: {keys: [{name: a, hash: "sha256:%s", expires: 2030-01-01, rate: off, scopes: [admin]}]}
profiles: {work: {servers: "a*"}}
mcpServers: {ab: {command: x, sandbox: yes}, ac: {command: x, sandbox: {memory: 64MiB}}, ad: {command: x, sandbox: no}}
cluster: {redis: "redis://h"}
""" % ("a" * 64)
    config = load(tmp_path, text)

    assert (config.expose.mode, config.limits.rate, config.limits.burst) == ("search", 10.0, 40)
    assert (config.limits.max_body, config.limits.max_result) == (512_000, 1_572_864)
    assert (config.cache.disk.path, config.cache.ttl, config.cache.memory.max_bytes) == ("off", 604_800.0, 4096)
    assert (config.observability.calls.keep, config.observability.otlp) == (None, None)
    assert config.observability.alerts.memory == 2**30
    assert config.tools.execute.enabled is True
    assert config.auth.keys[0].expires is not None
    assert config.auth.keys[0].expires.tzinfo is not None
    assert config.profiles["work"].servers == ("a*",)
    assert [server.model_dump()["sandbox"] is None for server in config.servers.values()] == [False, False, True]


REFUSED = {
    "a size": ("limits: {max_body: big}", "1:20: limits.max_body: 'big' is not a size such as 4096, 512KB or 64MiB"),
    "a small size": ("limits: {max_body: 1}", "1:20: limits.max_body: '1' is less than 1024"),
    "a rate": ("limits: {rate: 20}", "1:16: limits.rate: '20' is not a rate such as 20/s or 100/m"),
    "a burst": ("limits: {burst: 2}", "1:9: limits: it has a burst but no rate"),
    "a switch": ("tools: {ask: {enabled: sure}}", "1:24: tools.ask.enabled: 'sure' is not true, false or auto"),
    "a word": (
        "expose: serch",
        "1:9: expose: 'serch' is not one of 'auto', 'all' or 'search', did you mean 'search'?",
    ),
    "a port": ("server: {port: 70000}", "1:16: server.port: '70000' is more than 65535"),
    "a long port": (f"server: {{port: {'9' * 5000}}}", "1:16: server.port: '999"),
    "a path": ("server: {base_path: a/}", "1:21: server.base_path: 'a/' is not a path such as /gateway: a leading"),
    "a certificate": ("server: {tls: {cert: c}}", "1:10: server.tls: 'key' is missing"),
    "a hash": ("auth: {keys: [{name: a, hash: x}]}", "1:31: auth.keys[0].hash: the value is not the hash of a key"),
    "a name": (f"auth: {{keys: [{{name: '', hash: 'sha256:{'a' * 64}'}}]}}", "1:22: auth.keys[0].name: '' is empty"),
    "a date": (
        f"auth: {{keys: [{{name: a, hash: 'sha256:{'a' * 64}', expires: x}}]}}",
        "1:115: auth.keys[0].expires: 'x' is not a date and time such as 2027-01-31T12:00:00Z",
    ),
    "a profile": (
        "profiles: {w: {servers: [tme]}}\nmcpServers: {time: {command: x}}",
        "1:26: profiles.w.servers: no server matches 'tme', did you mean 'time'?",
    ),
    "an address": ("cluster: {redis: 'http://h'}", "1:18: cluster.redis: the value is not an address that starts with"),
    "a section": ("llm: text", "1:6: llm: expected a mapping, found text"),
    "a number": ("llm: {temperature: hot}", "1:20: llm.temperature: 'hot' is not a number"),
    "infinity": ("llm: {temperature: inf}", "1:20: llm.temperature: 'inf' is not a number"),
    "a key deep inside": ("tools: {ask: {confrm: x}}", "1:15: tools.ask.confrm: unknown key, did you mean 'confirm'?"),
    "a key in a list": (
        "tools: {search: {providers: [{type: brave, apikey: x}]}}",
        "1:44: tools.search.providers[0].apikey: unknown key, did you mean 'api_key'?",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_setting_is_refused_with_its_place(tmp_path: Path, case: str) -> None:
    text, line = REFUSED[case]

    assert problems(tmp_path, text)[0].startswith(f"gateway.yaml:{line}")


def test_many_problems_are_counted(tmp_path: Path) -> None:
    lines = problems(tmp_path, "".join(f"x{number}: 1\n" for number in range(130)))

    assert (len(lines), lines[-1]) == (101, "gateway.yaml: and 30 more")


def test_model_variables_speak_where_the_file_is_silent(tmp_path: Path) -> None:
    dotenv = f"API_KEY={SECRET}\nBASE_URL=http://llm/v1\nMODEL=small\n"
    config = load(tmp_path, 'llm: {model: large, base_url: ""}', dotenv=dotenv)

    assert config.llm.api_key is not None
    assert config.llm.api_key.get_secret_value() == SECRET
    assert (config.llm.base_url, config.llm.model) == ("http://llm/v1", "large")
    assert SECRET in config.secrets


def test_an_unrelated_base_url_in_the_environment_is_passed_over(tmp_path: Path) -> None:
    config = load(tmp_path, "llm:\n", environ={"BASE_URL": "/"})

    assert config.llm.base_url is None
    assert config.notes == ("gateway.yaml:1:1: llm: the variable BASE_URL is not an http or https URL; ignored",)


SECRETIVE = """
mcpServers:
  a: {url: "http://u:url-password@h/${S}", headers: {A: Bearer header-token, B: "${S}"}, proxy: "http://p:proxy-pass@h"}
  b: {command: "${S}", args: ["${S}"], env: {A: written-env, B: short}, describe: ~}
  c: {url: "http://h", api_key: written-key}
llm: {api_key: llm-key-1}
tools: {search: {providers: [{type: brave, api_key: provider-key}]}}
env_files: [.env]
"""


def test_secrets_are_known_for_redaction(tmp_path: Path) -> None:
    secrets = load(tmp_path, SECRETIVE, environ={"S": SECRET}).secrets

    assert secrets == {
        SECRET,
        "url-password",
        "Bearer header-token",
        "header-token",
        "http://p:proxy-pass@h",
        "proxy-pass",
        "written-env",
        "Bearer written-key",
        "written-key",
        "llm-key-1",
        "provider-key",
    }


def test_no_secret_is_in_repr_or_str(tmp_path: Path) -> None:
    config = load(tmp_path, SECRETIVE, environ={"S": SECRET})
    shown = "".join(f"{value!r} {value!s}" for value in (config, config.llm, config.tools, *config.servers.values()))

    assert not [secret for secret in config.secrets if secret in shown]


def test_models_are_frozen(tmp_path: Path) -> None:
    server = load(tmp_path, SECRETIVE, environ={"S": SECRET}).servers["a"]

    with pytest.raises(ValueError, match="frozen"):
        server.timeout = 1.0


@pytest.mark.parametrize(
    "text",
    [
        "mcpServers: {a: {url: '${S}', timeout: '${S}', headers: {'A B': '${S}'}, era: '${S}', tls: {verify: '${S}'}}}",
        f"mcpServers: {{a: {{url: '{SECRET}', headers: [{SECRET}], proxy: '{SECRET}'}}}}",
        f"mcpServers: {{a: {{command: x, env: {SECRET}, api_key: '{SECRET}', args: ['${{{SECRET}', 1]}}}}",
        "server: {port: '${S}', host: '${S} ${S}'}\nauth: {keys: [{name: a, hash: '${S}'}]}\ncluster: {redis: '${S}'}",
        f"llm: {{api_key: [{SECRET}], base_url: '{SECRET}'}}\nobservability: {{alerts: {{webhook: '{SECRET}'}}}}",
        f"mcpServers: {{a: {{command: x, env: {{A: '{SECRET}\n\n",
    ],
)
def test_no_secret_is_in_a_problem(tmp_path: Path, text: str) -> None:
    assert SECRET not in "\n".join(problems(tmp_path, text, environ={"S": SECRET}))


WORDS = """
    mcpServers server port a command url env headers tools version mcp_servers name profiles expose auth keys
    { } [ ] - " ' , # << ${A} ${ $$ null true = 8080 http://h x \\ud800 é | > :
"""
FRAGMENTS = st.sampled_from([*WORDS.split(), ": ", "- ", "? ", "&a ", "*a ", "!!str ", "\n", "  ", "\t", "\x00"])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(st.text(max_size=200), st.lists(FRAGMENTS, max_size=60).map("".join)),
    name=st.sampled_from(["gateway.yaml", "a.json", "a.toml", "a.conf", "mcp.json"]),
)
def test_any_text_loads_or_is_refused(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    lines = refusal(path)

    assert all(line.startswith(f"{name}:") for line in lines)
    assert SECRET not in "".join(lines)


def refusal(path: Path) -> list[str]:
    """The problem lines, none when the file loads."""
    try:
        load_config(path, environ={"A": SECRET})
    except BadConfig as refused:
        return refused.message.split("\n")
    return []


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = "import sys, mcp_gateway.config; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not [name for name in ("mcp", "starlette", "uvicorn", "openai", "anyio") if f"'{name}'" in loaded]


def test_loading_takes_less_than_a_tenth_of_a_second(tmp_path: Path) -> None:
    text = "mcpServers:\n" + "".join(
        f"  s{number}: {{command: x, args: [a, b], env: {{A: b}}}}\n" for number in range(20)
    )
    load(tmp_path, text)
    started_s = time.process_time()
    load(tmp_path, text)

    assert time.process_time() - started_s < 0.1
