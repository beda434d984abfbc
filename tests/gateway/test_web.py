import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.errors import BadInputError, DatabaseUnavailableError, ProblemError, ServiceWindowClosedError
from gateway.web import TRACE_ID, application

Client = TestClient[web.Request, web.Application]


@contextlib.asynccontextmanager
async def client_of(*routes: web.RouteDef, https: bool = False, stopping: bool = False) -> AsyncIterator[Client]:
    app = application(routes, body_bytes_max=1_000, https=https, stopping=lambda: stopping)
    async with TestClient(TestServer(app)) as client:
        yield client


def raising(error: Exception) -> web.RouteDef:
    async def handler(_request: web.Request) -> web.Response:
        raise error

    return web.get("/fails/{token}", handler)


async def echo(request: web.Request) -> web.Response:
    return web.json_response({"trace": request[TRACE_ID], "bytes": len(await request.read())})


async def problem_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json(content_type=None)
    assert body["status"] == response.status
    return body


async def test_a_callers_trace_id_is_kept_and_a_strange_one_replaced() -> None:
    async with client_of(web.get("/", echo)) as client:
        kept = await client.get("/", headers={"X-Request-Id": "abc-12345.z"})
        assert kept.headers["X-Request-Id"] == (await kept.json())["trace"] == "abc-12345.z"
        for strange in ("", "short", "x" * 65, "with space in it"):
            replaced = await client.get("/", headers={"X-Request-Id": strange})
            assert len(replaced.headers["X-Request-Id"]) == 32


async def test_an_expected_refusal_is_a_problem_with_its_code() -> None:
    async with client_of(
        raising(ProblemError(402, "insufficient_credits", "Top up.", missing_millicredits=5))
    ) as client:
        response = await client.get("/fails/x")
        body = await problem_of(response)
    assert (response.status, body["code"], body["detail"]) == (402, "insufficient_credits", "Top up.")
    assert body["missing_millicredits"] == 5
    assert body["title"] == "Payment Required"
    assert response.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ServiceWindowClosedError(None), 409, "service_window_closed"),
        (BadInputError("no such plan"), 400, "bad_input"),
        (web.HTTPForbidden(), 403, "forbidden"),
        (web.HTTPConflict(), 409, "http_409"),
    ],
)
async def test_other_refusals_are_problems_too(error: Exception, status: int, code: str) -> None:
    async with client_of(raising(error)) as client:
        body = await problem_of(await client.get("/fails/x"))
    assert (body["status"], body["code"]) == (status, code)


async def test_a_lost_database_is_a_503_so_that_providers_try_again() -> None:
    async with client_of(raising(DatabaseUnavailableError("gone"))) as client:
        response = await client.get("/fails/x")
        body = await problem_of(response)
    assert (response.status, body["code"]) == (503, "database_unavailable")
    assert response.headers["Retry-After"] == "2"


async def test_a_fault_of_ours_tells_the_caller_only_where_to_look(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        async with client_of(raising(KeyError("hunter2"))) as client:
            response = await client.get("/fails/s3cret-token")
            body = await problem_of(response)
    assert (response.status, body["code"]) == (500, "internal_error")
    assert body["trace_id"] == response.headers["X-Request-Id"]
    assert "hunter2" not in await response.text()


async def test_what_the_framework_refuses_is_a_problem_too() -> None:
    async with client_of(web.post("/", echo)) as client:
        assert (await problem_of(await client.get("/nowhere")))["code"] == "not_found"
        wrong_method = await client.get("/")
        assert (await problem_of(wrong_method))["code"] == "method_not_allowed"
        assert wrong_method.headers["Allow"] == "POST"
        assert (await client.post("/", data=b"x" * 1_000)).status == 200
        assert (await problem_of(await client.post("/", data=b"x" * 1_001)))["code"] == "body_too_large"


async def test_redirects_are_left_alone() -> None:
    async with client_of(raising(web.HTTPFound("/elsewhere"))) as client:
        response = await client.get("/fails/x", allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, "/elsewhere")


async def test_every_answer_has_careful_headers_unless_a_page_says_otherwise() -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<p>", content_type="text/html", headers={"Content-Security-Policy": "sandbox"})

    async with client_of(web.get("/page", page), web.get("/", echo), https=True) as client:
        for path in ("/", "/nowhere"):
            headers = (await client.get(path)).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Server"] == "turnmeter"
            assert headers["Cache-Control"] == "no-store"
            assert "max-age" in headers["Strict-Transport-Security"]
            assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert (await client.get("/page")).headers["Content-Security-Policy"] == "sandbox"
    async with client_of(web.get("/", echo)) as client:
        assert "Strict-Transport-Security" not in (await client.get("/")).headers


async def test_a_process_that_stops_ends_its_connections() -> None:
    async with client_of(web.get("/", echo), stopping=True) as client:
        assert (await client.get("/")).headers["Connection"] == "close"
