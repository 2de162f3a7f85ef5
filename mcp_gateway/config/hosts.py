"""What the configuration files of hosts hold: names of keys, of types, of files (2026-11-22).

Plain tables, to be kept up as hosts change.
"""

from __future__ import annotations

from typing import Final

RENAMED: Final = {
    "cmd": "command",
    "envs": "env",
    "environment": "env",
    "working_directory": "cwd",
    "workingDirectory": "cwd",
    "httpUrl": "url",
    "serverUrl": "url",
    "uri": "url",
    "http_headers": "headers",
    "transport": "type",
    "transportType": "type",
    "mode": "type",
    "tool_timeout_sec": "timeout",
    "startup_timeout_sec": "startup_timeout",
}
"""Hosts' names -> ours."""

TOOL_LISTS: Final = {
    "includeTools": "include",
    "enabled_tools": "include",
    "enabledTools": "include",
    "excludeTools": "exclude",
    "disabled_tools": "exclude",
    "disabledTools": "exclude",
}

REFERENCES: Final = ("api_key", "bearer_token_env_var", "env_http_headers", "env_vars")
"""Settings that become references or headers."""

FLAGS: Final = ("enabled", "envFile")
"""Settings that are read and gone."""

TYPES: Final = {
    "stdio": "stdio",
    "local": "stdio",
    "http": "http",
    "streamableHttp": "http",
    "streamable-http": "http",
    "streamable_http": "http",
    "remote": "http",
    "sse": "sse",
}

HOST_KEYS: Final = frozenset(
    {
        "_meta",
        "alwaysAllow",
        "always_allow",
        "authProviderType",
        "autoApprove",
        "autoStart",
        "available_tools",
        "bundled",
        "default_tools_approval_mode",
        "description",
        "dev",
        "disabledReason",
        "display_name",
        "displayName",
        "env_keys",
        "fromGalleryId",
        "gallery",
        "icon",
        "iconUrl",
        "installed",
        "isActive",
        "longRunning",
        "marketplace",
        "name",
        "oauth",
        "provider",
        "providerUrl",
        "registryUrl",
        "required",
        "requiresApproval",
        "sandboxEnabled",
        "scopes",
        "settings",
        "source",
        "supports_parallel_tool_calls",
        "tags",
        "version",
        "watchPaths",
    }
)
"""What hosts keep in an entry and a gateway has no use for."""

HOST_FILES: Final = frozenset(
    {
        ".claude.json",
        ".mcp.json",
        "claude_desktop_config.json",
        "cline_mcp_settings.json",
        "mcp-config.json",
        "mcp.json",
        "mcp_config.json",
        "mcp_settings.json",
        "opencode.json",
        "settings.json",
    }
)

HOST_FOLDERS: Final = frozenset(
    {
        ".claude",
        ".cline",
        ".codex",
        ".continue",
        ".copilot",
        ".cursor",
        ".gemini",
        ".junie",
        ".kiro",
        ".lmstudio",
        ".roo",
        ".vscode",
        ".zed",
    }
)

HOST_ROOT_KEYS: Final = frozenset(
    {
        "agent",
        "approval_policy",
        "assistant",
        "extensions",
        "features",
        "general",
        "globalShortcut",
        "history",
        "hooks",
        "inputs",
        "isUsingBuiltInNodeForMcp",
        "mcp",
        "model",
        "model_provider",
        "model_providers",
        "model_reasoning_effort",
        "models",
        "name",
        "notify",
        "numStartups",
        "permissions",
        "plugin",
        "preferences",
        "projects",
        "provider",
        "rules",
        "sandbox_mode",
        "sandbox_workspace_write",
        "schema",
        "scale",
        "shell_environment_policy",
        "selectedAuthType",
        "theme",
        "tui",
        "ui",
        "userID",
        "userThemeMode",
    }
)
"""Root keys of hosts' files, our selection of those that tell one."""
