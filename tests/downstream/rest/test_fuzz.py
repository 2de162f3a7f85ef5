"""Requests made up from the document, of people with more and less to say: no fault of ours, no status that is not
documented, and no key in an answer."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from mcp_gateway.downstream.rest import document
from mcp_gateway.security.key_store import KEYS_FILE, KeyStore
from mcp_gateway.security.keys import ApiKey, hashed, new_key
from mcp_gateway.security.principal import SCOPES
from schemathesis.checks import CheckContext

from tests.cli.command import tool_box
from tests.gateway import Gateway

FAULT = 500
SCOPES_OF = {"all": SCOPES, "little": frozenset({"read"})}
KEYS = {name: new_key() for name in SCOPES_OF}


def described() -> dict[str, Any]:
    """The document, whose names now and then lead somewhere."""
    made = document()
    real = {"servers": ["box"], "tools": ["box__kinds", "box__fail", "sysinfo"], "prompts": ["box__none"]}
    for path, operations in made["paths"].items():
        for parameter in (item for each in operations.values() for item in each.get("parameters", ())):
            if parameter["in"] == "path":
                parameter["schema"] = {"anyOf": [{"enum": real[path.split("/")[3]]}, parameter["schema"]]}
    return made


SCHEMA = schemathesis.openapi.from_dict(described())


@schemathesis.check
def no_fault(context: CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]) -> None:
    """A part that is not there (no model, no web search) is told with 502 to 504; 500 is a fault."""
    assert response.status_code != FAULT, response.text


CHECKS = [
    no_fault,
    *schemathesis.checks.CHECKS.get_by_names(
        [
            "status_code_conformance",
            "content_type_conformance",
            "response_schema_conformance",
            "response_headers_conformance",
            "negative_data_rejection",
        ]
    ),
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway, None, None]:
    config = {"mcpServers": {"box": tool_box("kinds", "fail")}, "reload": {"watch": False}}
    with Gateway(tmp_path_factory.mktemp("fuzzed"), config) as serving:
        serving.wait_for_servers()
        store = KeyStore(serving.folder / "home" / KEYS_FILE)
        for name, scopes in SCOPES_OF.items():
            store.add(ApiKey(name, hashed(KEYS[name]), scopes))
        yield serving


@SCHEMA.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),  # an example is a few requests to another process
)
def test_made_up_requests_are_answered_as_documented(case: schemathesis.Case[Any], gateway: Gateway) -> None:
    for name, key in KEYS.items():
        response = _sent(case, gateway, {"X-API-Key": key})
        assert key not in response.text, name
    assert _sent(case, gateway, {}).status_code == 401


def _sent(case: schemathesis.Case[Any], gateway: Gateway, headers: dict[str, str]) -> schemathesis.Response:
    return case.call_and_validate(base_url=gateway.origin, headers=headers, checks=CHECKS)  # type: ignore[arg-type]  # classes are checks, too
