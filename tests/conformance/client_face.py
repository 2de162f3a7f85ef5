"""The client scenarios: the suite is the server, and the gateway's upstream side the client that it judges."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.conformance.suite import Outcome, run_scenario

SCENARIOS: Mapping[str, tuple[str, ...]] = {
    "2025-11-25": (
        "initialize",
        "tools_call",
        "elicitation-sep1034-client-defaults",
        "sse-retry",
        "json-schema-2020-12-preservation",
    ),
    "2026-07-28": (
        "tools_call",
        "request-metadata",
        "sep-2322-client-request-state",
        "http-standard-headers",
        "http-custom-headers",
        "http-invalid-tool-headers",
        "json-schema-ref-no-deref",
        "json-schema-2020-12-preservation",
    ),
}
"""All but `auth/*`, whose client logs in at a page of the suite's without a person."""


def run_client_scenario(name: str, revision: str, folder: Path) -> Outcome:
    """One scenario; the results and what the client said go below `folder`."""
    command = f"{sys.executable} -W ignore -m tests.conformance.client"
    return run_scenario(["client", "--command", command, "--scenario", name, "--spec-version", revision], folder)
