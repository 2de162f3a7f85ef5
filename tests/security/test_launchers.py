"""Which commands fetch what they run without saying which version."""

from __future__ import annotations

import shlex

import pytest
from mcp_gateway.security.launchers import advice

DIGEST = "sha256:" + "0a" * 32
COMMIT = "0a" * 20

PINNED = [
    "npx -y some-server@1.2.3",
    "npx -y @scope/server@1.2.3-beta.1+build /folder",
    "npx --yes --package=@scope/server@1.2.3 server",
    "npx -p a@1.0.0 -p b@2.0.0 -- a --flag",
    "npx --registry https://npm.invalid a@1.0.0",
    "npx ./server",
    f"npx github:owner/server#{COMMIT}",
    "npx alias@npm:@scope/server@1.2.3",
    "/usr/local/bin/npx.cmd -y a@1.0.0",
    "npm exec -- a@1.0.0",
    "npm start",
    "pnpm dlx a@1.0.0",
    "bunx a@1.0.0",
    "uvx mcp-server-time==2026.10.19",
    "uvx --python 3.12 'server[all]==1.0' --local-timezone UTC",
    "uvx server@1.0.0",
    "uvx --from server==1.0 --with other==2,third==3 command",
    f"uvx --from git+https://example.invalid/server@{COMMIT} command",
    f"uvx --from https://example.invalid/a.whl#sha256={'0a' * 32} command",
    "uvx --from ./folder command",
    "uv tool run server==1.0",
    "uv run --directory /srv/server server",
    "uv run --with mcp==2.3.0 mcp run server.py",
    "pipx run --spec server==1.0 command",
    f"docker run -i --rm -e TOKEN mcp/server@{DIGEST}",
    f"docker run -itv /a:/b --name x --network=none registry.invalid:5000/mcp/server:1@{DIGEST} --flag",
    f"podman container run -i {DIGEST}",
    "docker mcp gateway run",
    "deno run --allow-net server.ts",
    "deno run -A npm:@scope/server@1.2.3/bin",
    "go run example.invalid/server@v1.2.3",
    "go run ./cmd/server",
    "python -m server",
    "node server.js",
    "sh -c 'exec /srv/server'",
    "mcp-server-time",
    "env A=b npx a@1.0.0",
]

UNPINNED = [
    ("npx -y some-server", "some-server@1.2.3"),
    ("npx -y @scope/server@latest", "@scope/server@1.2.3"),
    ("npx a@^1.0.0", "a@1.2.3"),
    ("npx a@1.0", "a@1.2.3"),
    ("npx a@1.x", "a@1.2.3"),
    ("npx -p a@1.0.0 -p b command", "b@1.2.3"),
    ("npx github:owner/server#main", "NAME|github"),
    ("npx https://user:planted@example.invalid/a.tgz", "NAME@1.2.3"),
    ("NPX.CMD -y a", "a@1.2.3"),
    ("npm exec a", "a@1.2.3"),
    ("pnpm dlx a", "a@1.2.3"),
    ("yarn dlx a", "a@1.2.3"),
    ("bun x a", "a@1.2.3"),
    ("uvx mcp-server-time", "mcp-server-time==1.2.3"),
    ("uvx server@latest", "server==1.2.3"),
    ("uvx 'server>=1.0'", "server==1.2.3"),
    ("uvx 'server==1.*'", "server==1.2.3"),
    ("uvx --from server command", "server==1.2.3"),
    ("uvx --with other server==1.0", "other==1.2.3"),
    ("uvx --from git+https://example.invalid/server@main command", "NAME==1.2.3"),
    ("uv tool run server", "server==1.2.3"),
    ("uv run --with mcp mcp run server.py", "mcp==1.2.3"),
    ("pipx run server", "server==1.2.3"),
    ("docker run -i --rm -e TOKEN mcp/server", "mcp/server@sha256:..."),
    ("docker run -i -v /a:/b mcp/server:1.0", "mcp/server@sha256:..."),
    ("deno run -A npm:server", "server@1.2.3|npm"),
    ("deno run -A https://example.invalid/server.ts", "NAME@1.2.3"),
    ("go run example.invalid/server@latest", "example.invalid/server@v1.2.3"),
    ("env A=b npx a", "a@1.2.3"),
    ("cmd /c npx -y a", "a@1.2.3"),
    ("uv run npx a", "a@1.2.3"),
    (f"docker run -i node@{DIGEST} npx -y a", "a@1.2.3"),
    ("bash -lc 'cd /srv && npx -y a@1.0.0'", "as command and its words as args"),
]


@pytest.mark.parametrize("command", PINNED)
def test_what_names_a_version_or_fetches_nothing_is_pinned(command: str) -> None:
    assert advice(shlex.split(command)) is None


@pytest.mark.parametrize(("command", "written"), UNPINNED)
def test_what_fetches_whatever_is_newest_is_told_what_to_write(command: str, written: str) -> None:
    told = advice(shlex.split(command))

    assert told is not None
    assert any(text in told for text in written.split("|"))
    assert "planted" not in told
