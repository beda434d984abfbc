"""The owner's API described in OpenAPI 3.1, from the routes and the models that serve it (pure)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from agents.agent import AgentConfiguration
from gateway.api.agents import AgentTable
from gateway.api.call import IDEMPOTENCY_KEY_LENGTH_MAX, PREFIX, AnyRoute, Nothing, Refusal

VERSION = "1"
_PLACE = re.compile(r"{(\w+)}")
_REFERENCE = "#/components/schemas/{model}"
_ALWAYS = (Refusal(status=401, code="unauthorized"),)
_BAD_QUERY = Refusal(status=422, code="invalid_request")
_BAD_JSON = Refusal(status=400, code="invalid_json")
_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "description": "Why a request was refused (RFC 9457). Programs decide by `code`, which is stable.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "problem": {"type": "string"}},
                "required": ["field", "problem"],
            },
        },
    },
    "required": ["status", "code", "detail"],
}
_SUMMARY = "Balance, receipts, conversations and agents of one tenant. Amounts are whole millicredits (1/1000 credit)."


def describe(routes: Sequence[AnyRoute], *, server: str) -> dict[str, Any]:
    """Return the OpenAPI document of some routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "turnmeter", "version": VERSION, "description": _SUMMARY},
        "servers": [{"url": server}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**_schemas(routes), "Problem": _PROBLEM},
        },
    }


def _operation(route: AnyRoute) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route.query), *_header_parameters(route)],
        "responses": _responses(route),
    }
    if route.has_body:
        operation["requestBody"] = {"required": True, "content": _json_content(route.body)}
    return operation


def _path_parameters(route: AnyRoute) -> Iterable[dict[str, Any]]:
    for name in _PLACE.findall(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": _place_schema(name)}


def _place_schema(name: str) -> dict[str, str]:
    if name == "month":
        return {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}([.]csv)?$"}
    return {"type": "string", "format": "uuid"} if name.endswith("_id") else {"type": "integer"}


def _query_parameters(query: type[BaseModel]) -> Iterable[dict[str, Any]]:
    for name, schema in query.model_json_schema(by_alias=True).get("properties", {}).items():
        yield {"name": name, "in": "query", "required": False, "schema": schema}


def _header_parameters(route: AnyRoute) -> Iterable[dict[str, Any]]:
    if route.takes_idempotency_key:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key and body do the same thing once, for 24 hours.",
            "schema": {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_LENGTH_MAX},
        }


def _responses(route: AnyRoute) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done" if route.told is None else route.told.__doc__}
    if route.told is not None:
        done["content"] = {
            **_json_content(route.told),
            **({"text/csv": {"schema": {"type": "string"}}} if route.has_csv else {}),
        }
    refusals = sorted(
        {*_ALWAYS, *route.refusals, *_refusals_of_input(route)}, key=lambda each: (each.status, each.code)
    )
    return {
        str(route.status): done,
        **{
            str(status): {
                "description": ", ".join(f"`{refusal.code}`" for refusal in group),
                "content": {"application/problem+json": {"schema": {"$ref": _REFERENCE.format(model="Problem")}}},
            }
            for status, group in groupby(refusals, key=lambda each: each.status)
        },
    }


def _refusals_of_input(route: AnyRoute) -> Iterable[Refusal]:
    if route.has_body:
        yield _BAD_JSON
    if route.has_body or route.query is not Nothing:
        yield _BAD_QUERY
    if route.body is AgentTable:
        yield Refusal(status=422, code="invalid_agent")


def _json_content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}


def _schemas(routes: Sequence[AnyRoute]) -> dict[str, Any]:
    modes: dict[type[BaseModel], Literal["serialization", "validation"]] = {
        **{route.told: "serialization" for route in routes if route.told is not None},
        **{route.body: "validation" for route in routes if route.has_body and route.body is not AgentTable},
    }
    _, found = models_json_schema(list(modes.items()), ref_template=_REFERENCE)
    schemas: dict[str, Any] = found.get("$defs", {})
    return {**schemas, **_agent_schemas()}


def _agent_schemas() -> dict[str, Any]:
    """Return the schema of an agent as people write it: hours as texts, and only what has no default required."""
    schema = AgentConfiguration.model_json_schema(by_alias=True, ref_template=_REFERENCE)
    parts: dict[str, Any] = schema.pop("$defs")
    parts["Block"] = {"type": "string", "description": "Opening hours.", "examples": ["09:00-13:00"]}
    schema["required"] = ["name", "instructions"]
    return {**parts, AgentTable.__name__: {**schema, "title": AgentTable.__name__}}
