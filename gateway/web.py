"""What every HTTP answer has in common: a trace id, errors as problem details, careful headers."""

import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Final

import orjson
import structlog
from aiohttp import web

from gateway.errors import BadInputError, DatabaseUnavailableError, ProblemError
from gateway.logs import log_context

TRACE_ID: Final = web.RequestKey("trace_id", str)
PROBLEM_TYPE: Final = "application/problem+json"
TRACE_HEADER: Final = "X-Request-Id"
_ACCEPTED_TRACE_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
_KEPT_HEADERS: Final = ("Allow", "WWW-Authenticate", "Retry-After")
RETRY_AFTER_S: Final = "2"
CODES: Final = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger(__name__)


def application(
    routes: Iterable[web.AbstractRouteDef], *, body_bytes_max: int, https: bool, stopping: Callable[[], bool]
) -> web.Application:
    """Build an application of these routes; bodies above the limit are refused with 413.

    While `stopping`, every answer also ends its connection, so that clients find another process.
    """

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["Server"] = "turnmeter"  # and not which versions of what
        if https:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if response.content_type.endswith("json"):
            response.headers.setdefault("Cache-Control", "no-store")
        if TRACE_ID in request:
            response.headers[TRACE_HEADER] = request[TRACE_ID]

    @web.middleware
    async def part(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if stopping():
            response.force_close()
        return response

    app = web.Application(middlewares=[trace, part, explain], client_max_size=body_bytes_max)
    app.on_response_prepare.append(prepare)
    app.add_routes(routes)
    return app


def problem(status: int, code: str, detail: str, **extra: object) -> web.Response:
    """Answer with problem details (RFC 9457); `code` is stable, `detail` is for people."""
    known = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code}
    body = orjson.dumps({**known, "detail": detail, **extra}, default=str)
    return web.Response(status=status, body=body, content_type=PROBLEM_TYPE)


@web.middleware
async def trace(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request a trace id, the caller's if it is one, and put it on every log line."""
    given = request.headers.get(TRACE_HEADER, "")
    request[TRACE_ID] = given if _ACCEPTED_TRACE_ID.fullmatch(given) else secrets.token_hex(16)
    with log_context(trace_id=request[TRACE_ID]):
        return await handler(request)


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into an answer that says what to do."""
    try:
        return await handler(request)
    except ProblemError as error:
        return problem(error.status, error.code, error.detail, **error.extra)
    except BadInputError as error:
        return problem(400, "bad_input", str(error))
    except DatabaseUnavailableError as error:
        log.warning("database_unavailable", because=str(error))
        answer = problem(503, "database_unavailable", "The database cannot be reached. Try again in a moment.")
        answer.headers["Retry-After"] = RETRY_AFTER_S
        return answer
    except web.HTTPException as error:
        return _as_problem(error)
    except Exception:  # the request's outermost edge: the caller learns nothing but where to look
        log.exception("request_failed", method=request.method, route=_route(request))
        return problem(500, "internal_error", "Something went wrong here.", trace_id=request[TRACE_ID])


def _as_problem(error: web.HTTPException) -> web.StreamResponse:
    """Keep redirects and deliberate answers; the framework's own errors become problem details."""
    if error.status < 400:
        raise error
    code = CODES.get(error.status, f"http_{error.status}")
    answer = problem(error.status, code, HTTPStatus(error.status).description or error.reason)
    for name in _KEPT_HEADERS:
        if name in error.headers:
            answer.headers[name] = error.headers[name]
    return answer


def _route(request: web.Request) -> str:
    """Name the route, not the path: a path may carry a token."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "none"
