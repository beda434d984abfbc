"""One request to the owner's API: who asks, for what, and how the answer becomes HTTP.

A route is a value: its handler, what it reads and what it answers. The same table is served and described.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.errors import ProblemError
from gateway.identity import find_api_key
from gateway.safe_text import safe_json
from gateway.services import Services

PREFIX = "/api/v1"
IDEMPOTENCY_KEY_LENGTH_MAX = 255


class Asked(BaseModel):
    """What a caller sends. A misspelled name is an error, because ignoring it would answer another question."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Told(BaseModel):
    """What a caller is told; built from our own values."""

    model_config = ConfigDict(frozen=True, from_attributes=True, populate_by_name=True)


class Nothing(Asked):
    """No query, or no body."""


Query = TypeVar("Query", bound=BaseModel)
Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Query, Body]):
    """An authenticated and readable request."""

    services: Services
    tenant_id: UUID
    path: Mapping[str, str]
    query: Query
    body: Body
    idempotency_key: str | None
    accepts_csv: bool = False

    def id(self, name: str) -> UUID:
        """Return an id of the path. What cannot be an id is one that nobody has: 404."""
        try:
            return UUID(self.path[name])
        except ValueError:
            raise not_found() from None

    def number(self, name: str) -> int:
        """Return a number of the path; one that a column cannot hold is one that nothing has: 404."""
        text = self.path[name]
        if not (text.isascii() and text.isdecimal() and len(text) <= 9):
            raise not_found()
        return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvText:
    """An answer that is a table for a spreadsheet, and the name of its file."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An expected refusal of a route, for its description."""

    status: int
    code: str


NOT_FOUND = Refusal(status=404, code="not_found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[Query, Body]):
    """One operation. `told` is None for an answer without a body (204)."""

    method: str
    path: str
    summary: str
    handler: Callable[[Call[Query, Body]], Awaitable[BaseModel | CsvText | None]]
    query: type[Query]
    body: type[Body]
    told: type[BaseModel] | None
    status: int = 200
    refusals: tuple[Refusal, ...] = ()
    takes_idempotency_key: bool = False
    has_csv: bool = False

    @property
    def has_body(self) -> bool:
        return self.body is not Nothing


AnyRoute = Route[Any, Any]


def not_found() -> ProblemError:
    """Return the answer for whatever this tenant does not have, be it another's or nobody's."""
    return ProblemError(404, "not_found", "There is no such thing here.")


def invalid(field: str, problem: str) -> ProblemError:
    """Return the answer for one field that cannot be used."""
    return _invalid([(field, problem)])


def route_def(services: Services, route: AnyRoute) -> web.RouteDef:
    """Return a route as aiohttp takes it."""
    return web.route(route.method, PREFIX + route.path, _handler(services, route))


def _handler(services: Services, route: AnyRoute) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        tenant_id = await _authenticated(services, request)
        told = await route.handler(
            Call(
                services=services,
                tenant_id=tenant_id,
                path=request.match_info,
                query=_parsed(route.query, dict(request.query)),
                body=_parsed(route.body, await _json(request) if route.has_body else {}),
                idempotency_key=_idempotency_key(request) if route.takes_idempotency_key else None,
                accepts_csv="text/csv" in request.headers.get("Accept", ""),
            )
        )
        if isinstance(told, CsvText):
            return _csv(told)
        if told is None:
            return web.Response(status=204)
        return web.Response(
            status=route.status, body=told.model_dump_json(by_alias=True).encode(), content_type="application/json"
        )

    return handle


def _csv(told: CsvText) -> web.Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{told.name}"',
        "Cache-Control": "no-store",
        "Vary": "Accept",
    }
    return web.Response(text=told.text, content_type="text/csv", charset="utf-8", headers=headers)


async def _authenticated(services: Services, request: web.Request) -> UUID:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        async with services.db.directory() as connection:
            key = await find_api_key(connection, token.strip(), now=services.now())
        if key is not None:
            return key.tenant_id
    raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer realm="turnmeter"'})


def _idempotency_key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= IDEMPOTENCY_KEY_LENGTH_MAX and key.isprintable()):
        raise invalid("Idempotency-Key", f"must have 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} printable characters")
    return key


async def _json(request: web.Request) -> Mapping[str, object]:
    try:
        content = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError):
        raise ProblemError(400, "invalid_json", "The body is not JSON.") from None
    if not isinstance(content, dict):
        raise ProblemError(400, "invalid_json", "The body must be a JSON object.")
    return safe_json(content)


Model = TypeVar("Model", bound=BaseModel)


def _parsed(model: type[Model], content: Mapping[str, object]) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise _invalid([(".".join(str(step) for step in each["loc"]), each["msg"]) for each in found]) from None


def _invalid(problems: list[tuple[str, str]]) -> ProblemError:
    return ProblemError(
        422,
        "invalid_request",
        "; ".join(f"{field}: {problem}" if field else problem for field, problem in problems),
        errors=[{"field": field, "problem": problem} for field, problem in problems],
    )
