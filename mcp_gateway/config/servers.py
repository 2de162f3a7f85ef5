"""One configured upstream: a stdio child, a Streamable HTTP server or a legacy HTTP+SSE server.

The entry arrives in our own spelling (`spelling` and `settling` see to that) and leaves as one of
three frozen classes told apart by `type`. Values in `env` and `headers` are secrets.
"""

# Annotations are not deferred here: pydantic would compile each of them, which costs every start 15 ms (2026-11-24).

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from mcp_gateway.config.hosts import FLAGS, REFERENCES, RENAMED, TOOL_LISTS
from mcp_gateway.config.section import Section, group
from mcp_gateway.config.values import (
    Backoff,
    Bool,
    Bytes,
    Count,
    Globs,
    LocalPath,
    OrOff,
    Rate,
    Seconds,
    SecretUrl,
    Text,
    Url,
    boolean,
    wrong,
)

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A field name is a token (RFC 9110, section 5.6.2)."""


def header_fields(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, secret in value.items():
        if not _HEADER.fullmatch(name):
            raise wrong("has a name that is not an HTTP header name")
        if re.search(r"[\x00\r\n]", secret.get_secret_value()):
            raise wrong("has a value with a line break or NUL")
    return value


def variables(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, secret in value.items():
        if not name or re.search(r"[=\x00]", name):
            raise wrong("has a name that cannot name an environment variable")
        if "\x00" in secret.get_secret_value():
            raise wrong("has a value with a NUL")
    return value


def program(value: str) -> str:
    if not value.strip():
        raise wrong("is not a program: it is empty")
    return value


def walls(value: Any) -> Any:
    """`true` and `false` stand for a sandbox with its defaults and for none."""
    if not isinstance(value, str):
        return value
    return {} if boolean(value) else None


def login(value: Any) -> Any:
    """`oauth` stands for a login with its defaults, `none` for no login."""
    if value == "oauth":
        return {}
    if value == "none":
        return None
    if isinstance(value, str):
        raise wrong("is not none, oauth or a mapping")
    return value


class ToolRules(Section):
    """Which tools of the server are offered, and how."""

    include: Globs = Field(default=("*",), description="Globs on the server's own tool names; only these are offered.")
    exclude: Globs = Field(
        default=(), description="Globs on the server's own tool names that are left out; wins over include."
    )
    rename: dict[str, Text] = Field(
        default={}, description="The server's own name of a tool -> the name to offer it under."
    )
    describe: dict[str, Text] = Field(
        default={}, description="The server's own name of a tool -> description to show instead."
    )
    timeout: dict[str, Seconds] = Field(
        default={}, description="The server's own name of a tool -> its deadline in seconds."
    )
    rate: dict[str, Rate] = Field(
        default={}, description="Glob on the server's own tool names -> calls a second, `20/s`; each tool by itself."
    )


class CacheRules(Section):
    """Whose results may be answered from the cache. Errors never are."""

    tools: Globs = Field(default=(), description="Globs on the server's own tool names whose results are cached.")
    ttl: Seconds | None = Field(
        default=None, description="How long a result stays fresh, in seconds; default: cache.ttl."
    )
    auto: Bool = Field(
        default=False, description="Also cache tools that say readOnlyHint and idempotentHint; believes the server."
    )
    stale: Seconds = Field(
        default=0.0, ge=0, description="How long after that a result is still given, while a new one is fetched."
    )


class Restart(Section):
    """How a lost connection is made again."""

    max: int = Field(
        default=5, ge=0, description="Attempts in a row before the server is parked (then one attempt a minute)."
    )
    backoff: Backoff = Field(
        default=(0.5, 30.0), description="Shortest and longest pause between attempts: `0.5..30` seconds."
    )


class UpstreamTls(Section):
    """How the server's certificate is checked, and which one we show."""

    ca: LocalPath | None = Field(default=None, description="PEM file of authorities to trust instead of the system's.")
    cert: LocalPath | None = Field(default=None, description="PEM file of the client certificate to show.")
    key: LocalPath | None = Field(default=None, description="PEM file of the client certificate's private key.")
    verify: Bool = Field(default=True, description="Check the server's certificate. Turn off on a bench only.")

    @model_validator(mode="after")
    def key_and_certificate_go_together(self) -> Self:
        if self.key is not None and self.cert is None:
            raise wrong("has a key but no cert")
        return self


class ChildSandbox(Section):
    """The walls around a stdio server: read-only system, own temporary folder, limits."""

    network: Bool = Field(default=True, description="May the child use the network?")
    read: tuple[LocalPath, ...] = Field(default=(), description="Folders and files that the child may read.")
    workdir: LocalPath | None = Field(
        default=None, description="The folder that the child may change, and starts in. Default: one thrown away."
    )
    memory: Bytes = Field(default=1024**3, ge=16 * 1024**2, description="Memory limit in bytes: `1GiB`.")
    processes: Count = Field(default=256, description="Limit of processes and threads.")


class Login(Section):
    """OAuth 2.1 towards an HTTP server; tokens are kept encrypted in the state folder."""

    client_id: str | None = Field(default=None, description="Registered client; default: dynamic registration.")
    client_secret: SecretStr | None = Field(default=None, description="Secret of a confidential client.")
    issuer: Text | None = Field(
        default=None, description="The only issuer to log in at; default: what the server names."
    )
    scopes: tuple[str, ...] = Field(default=(), description="Scopes to ask for; default: what the server names.")
    redirect_port: int = Field(default=0, ge=0, le=65535, description="Loopback port of the redirect; 0: any free one.")
    client_credentials: Bool = Field(default=False, description="Log in as the client itself, without a browser.")

    @model_validator(mode="after")
    def client_is_whole(self) -> Self:
        if self.client_secret is not None and self.client_id is None:
            raise wrong("has a client_secret but no client_id")
        if self.client_credentials and self.client_secret is None:
            raise wrong("has client_credentials but no client_id and client_secret")
        return self


Headers = Annotated[dict[str, SecretStr], AfterValidator(header_fields)]
Environ = Annotated[dict[str, SecretStr], AfterValidator(variables)]


class Upstream(Section):
    """What every kind of server has."""

    also = frozenset({*RENAMED, *TOOL_LISTS, *REFERENCES, *FLAGS})

    name: str = Field(description="The key of the entry, as written.")
    disabled: Bool = Field(default=False, description="Leave the server out. `enabled: false` is read too.")
    timeout: Seconds = Field(
        default=60.0, gt=0, description="Deadline of one call, in seconds; above 1000 it is taken as ms."
    )
    startup_timeout: Seconds = Field(default=30.0, gt=0, description="Deadline of connect and handshake, in seconds.")
    timeout_resets_on_progress: Bool = Field(
        default=False, description="Does a progress message start the deadline anew?"
    )
    prefix: str | None = Field(default=None, description="Prefix of offered names instead of the server's name.")
    tools: ToolRules = group("Which tools are offered, and how.")
    cache: CacheRules = group("Which results are cached.")
    era: Literal["auto", "modern", "legacy"] = Field(
        default="auto", description="Protocol generation: probe, or fixed."
    )
    lazy: Bool = Field(default=False, description="Connect on first use; until then list from the last good catalog.")
    idle_stop: OrOff[Seconds] = Field(
        default=None, description="Disconnect after so many seconds without a call; off: never."
    )
    restart: Restart = group("How a lost connection is made again.")
    concurrency: Count = Field(default=256, description="Calls in flight at once; more wait in the queue.")
    queue: int = Field(default=1024, ge=0, description="Calls that may wait; more are refused as busy.")
    rate: OrOff[Rate] = Field(
        default=None, description="Calls a second of all callers together, `20/s`; more are refused. Default: off."
    )
    isolation: Literal["shared", "session", "user"] = Field(
        default="shared", description="One connection for all, or one for each client session or each user."
    )
    trust: Literal["first-use", "strict", "off"] = Field(
        default="first-use",
        description="Pin tool definitions at first sight, demand approval even then, or do not pin.",
    )


class StdioServer(Upstream):
    """A child process that speaks over its pipes."""

    type: Literal["stdio"] = "stdio"
    command: Annotated[Text, AfterValidator(program)] = Field(description="The program; found on PATH. Never a shell.")
    args: tuple[Text, ...] = Field(default=(), description="Its arguments, each passed on as it is.")
    env: Environ = Field(
        default={}, description="Variables added to a minimal environment (PATH, HOME, LANG, TMPDIR, proxies)."
    )
    cwd: LocalPath | None = Field(
        default=None, description="Working folder; relative to this file. Default: the gateway's own."
    )
    sandbox: Annotated[ChildSandbox | None, BeforeValidator(walls)] = Field(
        default=None, description="Walls around the child: true, or a mapping. Default: none."
    )


class _Remote(Upstream):
    """What both HTTP kinds have."""

    url: Url = Field(description="Address of the server, http:// or https://.")
    headers: Headers = Field(default={}, description="Sent with every request. Nothing of a client's headers ever is.")
    tls: UpstreamTls = group("Certificates.")
    proxy: SecretUrl | None = Field(default=None, description="HTTP proxy to go through; default: the environment's.")
    auth: Annotated[Login | None, BeforeValidator(login)] = Field(
        default=None, description="Log in with OAuth: `oauth`, or a mapping. Default: none."
    )

    @model_validator(mode="after")
    def login_or_header(self) -> Self:
        if self.auth is not None and any(name.lower() == "authorization" for name in self.headers):
            raise wrong("has both auth and an Authorization header; leave one out")
        return self


class HttpServer(_Remote):
    """A Streamable HTTP server."""

    type: Literal["http"] = "http"


class SseServer(_Remote):
    """A server of the legacy HTTP+SSE transport."""

    type: Literal["sse"] = "sse"


Server = StdioServer | HttpServer | SseServer

KINDS: dict[str, type[StdioServer] | type[HttpServer] | type[SseServer]] = {
    "stdio": StdioServer,
    "http": HttpServer,
    "sse": SseServer,
}

KNOWN_KEYS = frozenset(name for kind in KINDS.values() for name in kind.model_fields)
