import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.api.openapi import describe
from gateway.api.routes import ROUTES
from tests.gateway.api.conftest import Caller, Salon, an_agent
from tests.gateway.api.json_schema import violations
from tests.gateway.api.test_calls import a_phone_call
from tests.gateway.api.test_numbers import an_order


@pytest.fixture
def document() -> dict[str, Any]:
    return describe(ROUTES, server="https://gateway.example")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, by_method in document["paths"].items():
        for method, operation in by_method.items():
            yield method.upper(), path, operation


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


async def test_the_description_needs_no_key(nobody: Caller, document: dict[str, Any]) -> None:
    served = (await nobody.ask("GET", "/api/openapi.json")).content
    assert served["openapi"].startswith("3.1.")
    assert served["paths"] == document["paths"]
    assert served["components"] == document["components"]


async def test_every_served_route_is_described_and_nothing_else(acme: Caller, document: dict[str, Any]) -> None:
    served = {
        (route.method, route.resource.canonical)
        for route in acme.client.server.app.router.routes()  # type: ignore[attr-defined]  # a TestServer has it
        if route.method != "HEAD" and route.resource is not None and route.resource.canonical.startswith("/api/v1/")
    }
    assert {(method, path) for method, path, _ in operations(document)} == served
    assert len(served) == len(ROUTES)


def test_the_description_holds_together(document: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) == known, "nothing missing, nothing left over"
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for method, path, operation in operations(document):
        places = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        assert places == re.findall(r"{(\w+)}", path)
        assert "401" in operation["responses"]
        assert ("404" in operation["responses"]) == ("{" in path), path
        assert ("requestBody" in operation) <= (method in {"PATCH", "POST", "PUT"})


def test_the_description_is_valid_against_the_rules_of_openapi(document: dict[str, Any]) -> None:
    assert set(document) == {"openapi", "info", "servers", "security", "paths", "components"}
    assert {"title", "version"} <= set(document["info"])
    for _, path, operation in operations(document):
        assert path.startswith("/")
        assert set(operation) <= {"operationId", "summary", "parameters", "requestBody", "responses"}
        for parameter in operation["parameters"]:
            assert {"name", "in", "schema"} <= set(parameter)
            assert parameter["in"] in {"path", "query", "header"}
            assert parameter["required"] or parameter["in"] != "path"
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status)
            assert response["description"].strip()
            assert all(set(content) == {"schema"} for content in response.get("content", {}).values())


async def test_what_is_served_is_as_described(acme: Caller, salon: Salon, document: dict[str, Any]) -> None:
    conversation_id = await salon.receive("Hallo")
    sent = await acme.post(f"/conversations/{conversation_id}/messages", {"text": "Guten Tag"})
    await acme.ask("PUT", f"/agents/{salon.agent_id}/draft", an_agent())
    webhook = await acme.post("/webhooks", {"url": "https://salon.example/hook"})
    await acme.post(f"/webhooks/{webhook.content['id']}/test")
    things = {
        "webhook_id": webhook.content["id"],
        "conversation_id": str(conversation_id),
        "receipt_id": sent.content["receipt_id"],
        "agent_id": str(salon.agent_id),
        "version": "1",
        "month": "2026-11",
        "order_id": str(await an_order(salon)),
        "call_id": str(await a_phone_call(salon)),
    }
    for method, path, operation in operations(document):
        if method == "GET" and path != "/api/v1/numbers/available":  # asks Twilio; test_numbers has one
            content = (await acme.ask(method, path.format(**things))).content
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert list(violations(content, schema, document)) == [], path
    refusal = (await acme.ask("GET", "/ledger", query={"limit": 0})).content
    assert list(violations(refusal, {"$ref": "#/components/schemas/Problem"}, document)) == []


def test_an_agent_is_described_as_people_write_it(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["AgentTable"]
    assert schema["required"] == ["name", "instructions"]
    written = an_agent(hours={"tuesday": ["09:00-13:00"]}, service=[{"name": "Schnitt", "minutes": 45}])
    assert list(violations(written, schema, document)) == []
    assert list(violations({"name": "x", "hours": {"tuesday": [7]}}, schema, document)) != []
