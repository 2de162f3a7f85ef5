"""The whole configuration, as the rest of the gateway sees it."""

# Annotations are not deferred here: pydantic would compile each of them, which costs every start 15 ms (2026-11-24).

from pathlib import Path

from pydantic import Field, field_validator

from mcp_gateway.config.doors import Auth, ExposeOrMode, Limits, Profile, Reload, ServerSettings
from mcp_gateway.config.parts import CacheSettings, Cluster, Llm, Observability, Security, Tools
from mcp_gateway.config.section import Section, group
from mcp_gateway.config.servers import Server
from mcp_gateway.config.values import Globs, wrong


class Settings(Section):
    """Every root key but the servers."""

    version: int = Field(default=1, description="Version of the file's shape: 1.")
    server: ServerSettings = group("Where the gateway listens.")
    auth: Auth = group("Who may come in.")
    expose: ExposeOrMode = group("What listings show. A bare word is the mode.")
    tools: Tools = group("The built-in tools.")
    llm: Llm = group("The language model.")
    cache: CacheSettings = group("Where results are kept.")
    limits: Limits = group("Limits of all doors.")
    observability: Observability = group("Logs, metrics, traces, alerts.")
    security: Security = group("Checks on upstreams.")
    cluster: Cluster = group("Several gateways side by side.")
    env_files: Globs = Field(
        default=(".env",), description="Files of NAME=value lines, relative to this one; later ones win."
    )
    reload: Reload = group("What happens when the file changes.")
    profiles: dict[str, Profile] = Field(default={}, description="Name -> a part of the whole, served under /mcp/NAME.")

    @field_validator("version")
    @classmethod
    def known_version(cls, value: int) -> int:
        if value != 1:
            raise wrong("is not a version that this gateway reads; it reads version 1")
        return value


class Config(Settings):
    """One configuration file, read and checked."""

    path: Path = Field(description="The file, absolute.")
    servers: dict[str, Server] = Field(default={}, description="Key -> server, in the order of the file.")
    skipped: dict[str, str] = Field(
        default={}, description="Servers that cannot be used today -> why, with file and line."
    )
    notes: tuple[str, ...] = Field(default=(), description="What was understood differently or ignored, a line each.")
    secrets: frozenset[str] = Field(default=frozenset(), description="Texts that must never be shown.")
