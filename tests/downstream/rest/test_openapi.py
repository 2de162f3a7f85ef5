"""The document of REST: well formed, complete, and true of what is really answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from mcp_gateway.downstream.rest import document
from mcp_gateway.downstream.rest.operation import PREFIX, Operation
from mcp_gateway.downstream.rest.table import OPERATIONS

from tests.downstream.rest.errors import code
from tests.downstream.rest.house import asking
from tests.fakes.openai_server import Says

DOCUMENT = document()
NAMES = {"/servers": "up", "/tools": "up__echo", "/prompts": "up__greet"}

BODIES: dict[str, dict[str, Any]] = {
    "/resources/read": {"uri": "test://static"},
    "/search": {"query": "echo", "kind": "auto"},
    "/ask": {"question": "is all well?"},
    "/embeddings": {"input": ["a", "b"]},
    "/pins/approve": {"server": "up"},
    "/prompts/{name:path}": {"arguments": {"who": "Ada"}},
}


def known(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def described(operation: Operation) -> dict[str, Any]:
    path = PREFIX + operation.path.replace(":path", "")
    found: dict[str, Any] = DOCUMENT["paths"][path][operation.method.lower()]
    return found


def address(operation: Operation) -> str:
    """A path that leads to something."""
    name = next((name for start, name in NAMES.items() if operation.path.startswith(start)), "")
    return PREFIX + operation.path.replace("{name:path}", name)


def check(operation: Operation, response: httpx2.Response) -> None:
    """The answer is among the documented ones, and has the shape that is documented."""
    content = described(operation)["responses"][str(response.status_code)]["content"]
    schema = content[response.headers["content-type"].partition(";")[0]]["schema"]
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(response.json())


async def test_the_gateway_serves_it(people: httpx2.AsyncClient) -> None:
    assert (await people.get("/openapi.json")).json() == DOCUMENT


def test_it_says_where_a_gateway_below_a_path_is() -> None:
    assert document("/gw")["servers"] == [{"url": "/gw"}]


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(ref := value.get("$ref"), str):
            yield ref
        for member in value.values():
            yield from refs(member)
    elif isinstance(value, list):
        for item in value:
            yield from refs(item)


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    assert {ref.removeprefix("#/components/schemas/") for ref in refs(DOCUMENT)} <= schemas.keys()


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_operations_have_names_of_their_own() -> None:
    ids = [described(operation)["operationId"] for operation in OPERATIONS]

    assert len(set(ids)) == len(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=known)
def test_path_parameters_are_described(operation: Operation) -> None:
    parameters = described(operation).get("parameters", ())

    assert [item["name"] for item in parameters if item["in"] == "path"] == re.findall(r"{(\w+)", operation.path)


async def test_every_answer_is_as_documented(tmp_path: Path) -> None:
    async with asking(tmp_path, Says("All is well."), embedding_model="tiny") as there:
        for operation in OPERATIONS:
            body = BODIES.get(operation.path, {}) if operation.body else None
            response = await there.http.request(operation.method, address(operation), json=body)
            assert response.status_code == 200, (known(operation), response.text)
            check(operation, response)


async def test_a_name_that_is_not_there_is_documented(people: httpx2.AsyncClient) -> None:
    for operation in OPERATIONS:
        if "{" in operation.path:
            path = PREFIX + operation.path.replace("{name:path}", "nobody")
            response = await people.request(operation.method, path)
            assert code(response) == (404, "unknown_name"), known(operation)
            check(operation, response)


@pytest.mark.parametrize("member", ["command", "args", "env", "mcpServers", "url"])
async def test_no_operation_takes_a_command_line(people: httpx2.AsyncClient, member: str) -> None:
    for operation in OPERATIONS:
        if operation.body:
            body = BODIES.get(operation.path, {}) | {member: ["sh", "-c", "id"]}
            response = await people.post(address(operation), json=body)
            assert code(response) == (400, "invalid_params"), known(operation)
            assert f"unknown member {member!r}" in response.json()["error"]
            check(operation, response)
