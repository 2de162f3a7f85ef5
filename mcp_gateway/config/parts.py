"""Settings of what is inside: built-in tools, the language model, the cache, observation, security, cluster."""

# Annotations are not deferred here: pydantic would compile each of them, which costs every start 15 ms (2026-11-24).

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from mcp_gateway.config.section import Section, group
from mcp_gateway.config.values import (
    Bool,
    Bytes,
    Count,
    LocalPath,
    Network,
    OrOff,
    Seconds,
    SecretUrl,
    Switch,
    Url,
    wrong,
)
from mcp_gateway.security.images import is_pinned

MIB = 1024**2


def silent(value: Any) -> Any:
    """`${MODEL:-}` with nothing behind it counts as not written."""
    return None if value == "" else value


class AskTool(Section):
    """`ask`: a model answers with the tools of all servers."""

    enabled: Switch = Field(
        default="auto", description="auto: with a model; without one it answers with the fitting tools."
    )
    candidates: Count = Field(default=12, description="Tools offered to the model for one question.")
    confirm: Literal["destructive", "writes", "never"] = Field(
        default="destructive", description="Which calls the caller must approve first."
    )
    timeout: Seconds = Field(default=120.0, gt=0, description="Deadline in seconds when the caller follows progress.")
    timeout_without_progress: Seconds = Field(default=55.0, gt=0, description="Deadline in seconds when it does not.")
    max_result: Count = Field(default=16_384, description="Characters of one tool result that the model sees.")


_SERVICES = ("searxng", "brave", "tavily", "ddgs")


def search_service(value: str) -> str:
    if value in _SERVICES or re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value):
        return value
    raise wrong(f"is not one of {', '.join(_SERVICES)}, nor a function of your own as package.module:function")


class SearchProvider(Section):
    """One source of web results."""

    type: Annotated[str, AfterValidator(search_service)] = Field(
        description=f"Which service it is: {', '.join(_SERVICES)}, or your own as package.module:function."
    )
    url: Url | None = Field(default=None, description="Its address; searxng needs one.")
    api_key: SecretStr | None = Field(default=None, description="Its key; brave and tavily need one.")
    timeout: Seconds = Field(default=10.0, gt=0, description="Deadline of one query, in seconds.")


class SearchTool(Section):
    """`search`: the web, or the catalog."""

    enabled: Switch = Field(default=True, description="Offer the tool.")
    providers: tuple[SearchProvider, ...] = Field(default=(), description="Web sources, tried in order.")
    limit: int = Field(default=10, ge=1, le=20, description="Results unless the caller says.")


def pinned_image(value: str) -> str:
    if is_pinned(value):
        return value
    raise wrong("is no image by its digest; write name@sha256: and 64 hexadecimal digits, or an image id, sha256:...")


def container_engine(value: str) -> str:
    if value in ("auto", "docker", "podman") or value.startswith("/"):
        return value
    raise wrong("is not auto, docker, podman or an absolute path")


class ExecuteContainer(Section):
    """What a container is made of, where that is the sandbox."""

    image: Annotated[str, AfterValidator(pinned_image)] | None = Field(
        default=None,
        description="Its image by digest, name@sha256:... or the image id sha256:...; programs are those of the image.",
    )
    engine: Annotated[str, AfterValidator(container_engine)] = Field(
        default="auto", description="docker, podman, an absolute path, or auto: podman, else docker."
    )
    options: tuple[str, ...] = Field(
        default=(),
        description="Further options of the engine's run, such as --runtime=...; they win over the gateway's.",
    )


class ExecuteTool(Section):
    """`execute`: run a program in the sandbox."""

    enabled: Switch = Field(default="auto", description="auto: only where the sandbox passes its self-test.")
    runner: Literal["auto", "bwrap", "landlock", "container", "unsafe-none"] = Field(
        default="auto", description="Which sandbox; auto takes the first that passes. unsafe-none is no sandbox at all."
    )
    container: ExecuteContainer = group("A container as the sandbox; tried only where an image is named.")
    timeout: Seconds = Field(default=30.0, gt=0, description="Longest run, in seconds of wall time.")
    cpu: Seconds = Field(default=10.0, gt=0, description="Longest run, in seconds of processor time.")
    network: Bool = Field(default=False, description="May programs use the network?")
    memory: Bytes = Field(default=512 * MIB, ge=16 * MIB, description="Memory limit in bytes.")
    processes: Count = Field(default=64, description="Limit of processes and threads.")
    output: Bytes = Field(default=MIB, ge=1024, description="Bytes kept of each output stream.")
    concurrency: Count = Field(default=2, description="Runs at once.")
    queue: int = Field(default=8, ge=0, description="Runs that may wait; more are refused as busy.")
    workdirs: tuple[LocalPath, ...] = Field(default=(), description="Folders that a caller may name as working folder.")
    shell: Bool = Field(
        default=False, description="Allow a shell text besides an argument list; still inside the sandbox."
    )


class AnalyzeCodeTool(Section):
    """`analyze_code`: read code without running it."""

    enabled: Switch = Field(default=True, description="Offer the tool.")
    roots: tuple[LocalPath, ...] = Field(
        default=(".",), validate_default=True, description="Folders it may read files of."
    )
    max_bytes: Bytes = Field(default=MIB, ge=1, description="Largest text it looks at, in bytes.")
    timeout: Seconds = Field(default=5.0, gt=0, description="Deadline of one analysis, in seconds.")


class SysinfoTool(Section):
    """`sysinfo`: the machine and the gateway."""

    enabled: Switch = Field(default=True, description="Offer the tool.")
    detail: Literal["basic", "full"] = Field(
        default="basic", description="full: also host name, users, mounts, processes."
    )


class Tools(Section):
    """The built-in tools."""

    ask: AskTool = group("Ask a question, answered with the tools.")
    search: SearchTool = group("Search the web or the catalog.")
    execute: ExecuteTool = group("Run a program in the sandbox.")
    analyze_code: AnalyzeCodeTool = group("Read code without running it.")
    sysinfo: SysinfoTool = group("The machine and the gateway.")


class Budget(Section):
    """What one `ask` may cost."""

    per_call_tokens: Count = Field(default=20_000, description="Tokens of one ask, input and output together.")


SilentText = Annotated[str | None, BeforeValidator(silent)]
SilentUrl = Annotated[Url | None, BeforeValidator(silent)]
SilentSecret = Annotated[SecretStr | None, BeforeValidator(silent)]


class Llm(Section):
    """The language model behind `ask` and embeddings. Unwritten: API_KEY, BASE_URL and MODEL are read."""

    provider: str = Field(
        default="auto",
        description="auto (openai with a key or address, else retrieval), openai, retrieval, sampling, a.b:Class.",
    )
    model: SilentText = Field(default=None, description="Name of the chat model. Default: ${MODEL:-}.")
    base_url: SilentUrl = Field(
        default=None, description="Address of an OpenAI-compatible API. Default: ${BASE_URL:-}."
    )
    api_key: SilentSecret = Field(default=None, description="Its key. Default: ${API_KEY:-}.")
    embedding_model: SilentText = Field(
        default=None,
        description="Embedding model, by which tools are found by meaning too: its name, or ./FOLDER. Default: none.",
    )
    timeout: Seconds = Field(default=60.0, gt=0, description="Deadline of one request to the model, in seconds.")
    max_rounds: Count = Field(default=6, description="Turns of the model within one ask.")
    max_tool_calls: Count = Field(default=24, description="Tool calls within one ask.")
    temperature: float = Field(
        default=0.0, ge=0, le=2, description="Sampling temperature; answers are cached at 0 only."
    )
    cache: Literal["auto", "always"] = Field(
        default="auto", description="auto: answers at temperature 0 are cached; always: at any temperature."
    )
    budget: Budget = group("What one ask may cost.")


class MemoryCache(Section):
    """The first level."""

    max_entries: Count = Field(default=2048, description="Results kept.")
    max_bytes: Bytes = Field(default=64 * MIB, ge=1024, description="Bytes kept.")


def off_is_disabled(value: Any) -> Any:
    """`disk: off` stands for `disk: {path: off}`."""
    return {"path": value} if isinstance(value, str) else value


class DiskCache(Section):
    """The second level."""

    path: Literal["auto", "off"] | LocalPath = Field(
        default="auto", description="auto: the platform's cache folder; off: none."
    )
    max_bytes: Bytes = Field(default=512 * MIB, ge=1024, description="Bytes kept.")


class CacheSettings(Section):
    """Where results are kept. Which ones is said per server."""

    memory: MemoryCache = group("The first level, in memory.")
    disk: Annotated[DiskCache, BeforeValidator(off_is_disabled)] = group("The second level, in SQLite.")
    ttl: Seconds = Field(default=300.0, gt=0, description="How long a result stays fresh, in seconds.")
    backend: str = Field(
        default="auto", description="auto: memory, then disk; redis with a cluster; or a class as a.b:Class."
    )


class Log(Section):
    """The gateway's own log, always on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Mildest level written.")
    format: Literal["auto", "text", "json"] = Field(
        default="auto", description="auto: text on a terminal, JSON otherwise."
    )


class CallLog(Section):
    """The record of calls."""

    keep: OrOff[Seconds] = Field(
        default=7 * 86_400.0, description="How long calls are recorded, `7d` in seconds; off: not at all."
    )
    arguments: Literal["off", "redacted", "full"] = Field(
        default="redacted",
        description="What is kept of arguments; redacted: a digest, full: up to 4 KiB, without secrets.",
    )


class Alerts(Section):
    """When somebody is told."""

    webhook: SecretUrl | None = Field(default=None, description="Address that gets a JSON POST for each alert.")
    error_rate: float = Field(
        default=0.5, gt=0, le=1, description="Share of failing calls of a server within the window."
    )
    window: Seconds = Field(default=300.0, gt=0, description="The window, in seconds.")
    latency: OrOff[Seconds] = Field(
        default=None, description="95th percentile of a server's calls within the window, in seconds; off: not watched."
    )
    memory: OrOff[Bytes] = Field(
        default=None, description="Resident memory of the gateway, in bytes; off: not watched."
    )
    expiry: OrOff[Seconds] = Field(
        default=3 * 86_400.0,
        description="How long before its end a login or an API key is told of, `3d` in seconds; off: never.",
    )


class Observability(Section):
    """Logs, metrics, traces, alerts."""

    log: Log = group("The gateway's own log.")
    calls: CallLog = group("The record of calls.")
    metrics: Bool = Field(default=True, description="Serve /metrics.")
    otlp: SilentUrl = Field(
        default=None, description="Address of an OTLP collector for spans (extra `otel`). Default: none."
    )
    alerts: Alerts = group("When somebody is told.")


class Security(Section):
    """Checks on what upstreams are and say."""

    require_pinned: Bool = Field(
        default=False, description="Leave out servers whose command fetches any version, as `npx -y NAME` does."
    )
    clean_texts: Bool = Field(
        default=True, description="Strip invisible and control characters from names and descriptions."
    )
    max_description: Bytes = Field(default=4096, ge=256, description="Longest description passed on, in bytes.")
    max_schema: Bytes = Field(default=65_536, ge=1024, description="Largest schema passed on, in bytes.")
    max_tools: Count = Field(default=1000, description="Tools taken from one server.")
    private_networks: tuple[Network, ...] = Field(
        default=(),
        description="Private networks, `10.0.0.0/8`, where upstreams may say that their authorization servers are.",
    )


def redis_address(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise wrong("is not an address that starts with redis://, rediss:// or unix://")
    return value


class Cluster(Section):
    """Several gateways side by side."""

    redis: Annotated[SecretStr, AfterValidator(redis_address)] | None = Field(
        default=None, description="redis:// address of what they share. Default: alone."
    )
    prefix: str = Field(default="mcp-gateway", min_length=1, description="Prefix of our keys there.")
