"""Settings of the downstream side: the address, who may come in, what is offered."""

# Annotations are not deferred here: pydantic would compile each of them, which costs every start 15 ms (2026-11-24).

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mcp_gateway.config.section import Section, group
from mcp_gateway.config.values import (
    BasePath,
    Bool,
    Bytes,
    Count,
    Globs,
    Host,
    LocalPath,
    OrOff,
    Port,
    Rate,
    Seconds,
    Switch,
    Url,
    wrong,
)

ExposeMode = Literal["auto", "all", "search"]
Scope = Literal["read", "call", "ask", "execute", "admin"]


def key_hash(value: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", value):
        raise wrong("is not the hash of a key: sha256: and 64 hexadecimal digits, as `keys create` prints it")
    return value


def aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.astimezone()


def bare_mode(value: Any) -> Any:
    return {"mode": value} if isinstance(value, str) else value


class ServerTls(Section):
    """The certificate that clients see."""

    cert: LocalPath = Field(description="PEM file of the certificate chain.")
    key: LocalPath = Field(description="PEM file of its private key.")


class ServerSettings(Section):
    """Where the gateway listens."""

    host: Host = Field(default="127.0.0.1", description="Address to bind. Any but loopback needs keys or OAuth.")
    port: Port = Field(default=8765, description="TCP port; 0: any free one.")
    base_path: BasePath = Field(
        default="", description="Path in front of all routes, such as /gateway, behind a proxy."
    )
    allowed_hosts: tuple[Host, ...] = Field(default=(), description="Host headers accepted besides the bound address.")
    allowed_origins: tuple[str, ...] = Field(
        default=(), description="Browser origins accepted besides the gateway's own."
    )
    tls: ServerTls | None = Field(default=None, description="Serve https with this certificate. Default: plain http.")
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Addresses or networks whose X-Forwarded-* are believed."
    )


class AllowDeny(Section):
    """Globs; a name must match allow and must not match deny."""

    allow: Globs = Field(default=("*",), description="Globs of names that may be used.")
    deny: Globs = Field(default=(), description="Globs of names that may not; wins over allow.")


class Key(Section):
    """One API key, as `keys create` prints it. Only the hash is ever stored."""

    name: str = Field(min_length=1, description="For logs and listings.")
    hash: Annotated[str, AfterValidator(key_hash)] = Field(description="`sha256:` and the hash of the key.")
    scopes: tuple[Scope, ...] = Field(default=("read", "call"), description="What the key may do.")
    servers: AllowDeny = group("Which servers the key sees.")
    tools: AllowDeny = group("Which tools, by offered name, the key sees.")
    expires: Annotated[datetime, AfterValidator(aware)] | None = Field(
        default=None, description="When it ends, ISO 8601; local time unless it says. Default: never."
    )
    rate: OrOff[Rate] = Field(default=None, description="Calls a second for this key, `20/s`; default: limits.rate.")
    concurrency: Count | None = Field(default=None, description="Calls at once for this key. Default: no limit.")
    profile: str | None = Field(default=None, description="The profile that the key is bound to. Default: none.")
    mode: ExposeMode | None = Field(default=None, description="What listings show this key; default: expose.mode.")


class OAuth(Section):
    """The gateway as an OAuth 2.1 resource server (RFC 9728)."""

    issuer: Url = Field(description="The authorization server whose tokens are accepted.")
    audience: str = Field(min_length=1, description="What the tokens must name as their audience.")
    jwks_url: Url | None = Field(default=None, description="Where the issuer's keys are; default: from its metadata.")
    scopes: dict[str, Scope] = Field(default={}, description="The issuer's scope -> ours; default: same names.")


class Signatures(Section):
    """Requests signed with RFC 9421 HMAC-SHA256."""

    required: Bool = Field(default=False, description="Refuse requests that are not signed.")
    skew: Seconds = Field(default=300.0, gt=0, description="Seconds that a signature's time may differ from ours.")


class Auth(Section):
    """Who may come in."""

    required: Switch = Field(default="auto", description="auto: when keys exist, or the address is not loopback.")
    keys: tuple[Key, ...] = Field(default=(), description="Keys, besides those in the state folder.")
    oauth: OAuth | None = Field(default=None, description="Accept an authorization server's tokens. Default: none.")
    signatures: Signatures = group("Signed requests.")


class ClientRule(Section):
    """What one kind of client is shown."""

    mode: ExposeMode = Field(default="auto", description="As expose.mode, for this client.")


class Expose(Section):
    """What listings show. Everything stays callable by name."""

    mode: ExposeMode = Field(default="auto", description="All tools, search tools only, or what fits the limits below.")
    max_tools: Count = Field(default=40, description="auto: above this many tools, search.")
    max_tokens: Count = Field(default=10_000, description="auto: above this estimate of the listing's tokens, search.")
    prefix: Literal["always", "collision", "never"] = Field(
        default="always", description="When names get `server__` in front."
    )
    max_name: int = Field(
        default=48, ge=16, le=128, description="Longest offered name, in characters; longer ones are hashed."
    )
    schema_compat: Literal["safe", "off"] = Field(
        default="safe", description="Mend schemas that hosts refuse, or leave them."
    )
    clients: dict[str, ClientRule] = Field(default={}, description="clientInfo.name -> rule; legacy sessions only.")
    order: Literal["stable", "name"] = Field(
        default="stable", description="Order of listings: of the file, or of names."
    )
    pinned: Globs = Field(default=(), description="Globs of offered names that search mode lists all the same.")


ExposeOrMode = Annotated[Expose, BeforeValidator(bare_mode)]


class Profile(Section):
    """A part of the whole under its own address, /mcp/NAME."""

    servers: Globs = Field(default=("*",), description="Globs of the servers it holds, by their keys in this file.")
    tools: AllowDeny = group("Which tools, by offered name, it holds.")
    mode: ExposeMode | None = Field(default=None, description="As expose.mode, for this profile. Default: expose.mode.")


class Reload(Section):
    """What happens when the file changes."""

    watch: Bool = Field(default=True, description="Read the file again when it changes. SIGHUP always does.")
    debounce_ms: int = Field(default=300, ge=0, le=60_000, description="Quiet time before it is read, in milliseconds.")


class Limits(Section):
    """Limits of all doors."""

    rate: OrOff[Rate] = Field(default=None, description="Calls a second for each caller: `20/s`, `600/m`, or off.")
    burst: Count | None = Field(
        default=None, description="Calls at once before the rate holds. Default: one second's worth."
    )
    max_body: Bytes = Field(default=4 * 1024**2, ge=1024, description="Largest request, in bytes: `4MiB`.")
    max_result: Bytes = Field(
        default=16 * 1024**2, ge=1024, description="Largest message of an upstream, in bytes: `16MiB`."
    )
    max_sessions: Count = Field(default=1000, description="Sessions open at once, over all doors.")
    answer_within: Seconds = Field(
        default=600.0, gt=0, description="How long a call waits for answers that its client brings with a new request."
    )

    @model_validator(mode="after")
    def burst_needs_a_rate(self) -> Self:
        if self.burst is not None and self.rate is None:
            raise wrong("has a burst but no rate")
        return self
