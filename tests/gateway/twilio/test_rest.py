"""Requests to Twilio over a real socket, and what their answers mean."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.db import Database
from gateway.twilio.rest import (
    Accepted,
    Answer,
    NotConnected,
    OutcomeUnknown,
    Refused,
    Throttled,
    TwilioRest,
    read_answer,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers as the test says."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.answer: Handler = self.ok

    async def ok(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"sid": "SM1"}, status=201)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.asked.append(request)
        return await self.answer(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with TestServer(app) as running:
        server.url = str(running.make_url("/")).rstrip("/")
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def rest_at(url: str, http: aiohttp.ClientSession, *, timeout_s: float = 20) -> TwilioRest:
    timeout = aiohttp.ClientTimeout(total=timeout_s, connect=5)
    return TwilioRest(http, url, "AC1", "twilio token", f"{url}/messaging", timeout=timeout)


async def test_a_request_is_a_form_below_the_account_with_its_password(
    server: Server, http: aiohttp.ClientSession
) -> None:
    form = [("To", "+49170"), ("Body", "Grüße & 😊"), ("MediaUrl", "a"), ("MediaUrl", "b")]
    assert await rest_at(server.url, http).post("Messages.json", form) == Accepted({"sid": "SM1"})
    [request] = server.asked
    assert request.path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert request.headers["Authorization"] == aiohttp.encode_basic_auth("AC1", "twilio token")
    assert server.bodies == [b"To=%2B49170&Body=Gr%C3%BC%C3%9Fe+%26+%F0%9F%98%8A&MediaUrl=a&MediaUrl=b"]


async def test_each_kind_of_request_goes_to_its_place(server: Server, http: aiohttp.ClientSession) -> None:
    rest = rest_at(server.url, http)
    await rest.get("Messages.json", [("To", "+49170"), ("DateSent>", "2026-11-25")])
    await rest.get_page("/2010-04-01/Accounts/AC1/Messages.json?Page=1&To=%2B49170")
    await rest.delete("IncomingPhoneNumbers/PN1.json")
    await rest.post_messaging("v2/Indicators/Typing.json", [("messageId", "SM1")])
    assert [(one.method, one.path_qs) for one in server.asked] == [
        ("GET", "/2010-04-01/Accounts/AC1/Messages.json?To=%2B49170&DateSent%3E=2026-11-25"),
        ("GET", "/2010-04-01/Accounts/AC1/Messages.json?Page=1&To=%2B49170"),
        ("DELETE", "/2010-04-01/Accounts/AC1/IncomingPhoneNumbers/PN1.json"),
        ("POST", "/messaging/v2/Indicators/Typing.json"),
    ]


async def test_the_password_goes_to_no_other_host(server: Server, http: aiohttp.ClientSession) -> None:
    rest = rest_at(server.url, http)
    assert isinstance(await rest.get_page("http://elsewhere.example/page"), Refused)

    async def redirect(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{server.url}/elsewhere"})

    server.answer = redirect
    assert await rest.get("Messages.json") == Refused(None, 307, "")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (201, b'{"sid": "SM1"}', Accepted({"sid": "SM1"})),
        (204, b"", Accepted({})),
        (201, b"<html>", OutcomeUnknown("an answer that is not JSON")),
        (400, b'{"code": 21610, "message": "No."}', Refused(21610, 400, "No.")),
        (401, b"", Refused(None, 401, "")),
        (404, b'{"code": "many"}', Refused(None, 404, "")),
        (429, b'{"code": 20429}', Throttled(20429, 7.0)),
        (429, b"slow down", Throttled(None, 7.0)),
        (400, b'{"code": 14107}', Throttled(14107, 7.0)),
        (500, b'{"code": 20500}', NotConnected("status 500 (20500)")),
        (502, b"<html>", OutcomeUnknown("status 502 (None)")),
        (408, b"", OutcomeUnknown("status 408 (None)")),
    ],
)
def test_an_answer_says_what_was_done(status: int, body: bytes, meaning: Answer) -> None:
    assert read_answer(status, body, "7") == meaning


async def test_nobody_listening_means_that_nothing_was_done(http: aiohttp.ClientSession) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert isinstance(await rest_at(f"http://127.0.0.1:{port}", http).get("Messages.json"), NotConnected)


async def test_an_answer_that_never_comes_or_breaks_off_is_no_answer(
    server: Server, http: aiohttp.ClientSession
) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"sid"')
        assert request.transport is not None
        request.transport.abort()
        return response

    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3)
        return web.Response()

    for broken in (cut, hang):
        server.answer = broken
        answer = await rest_at(server.url, http, timeout_s=0.1).post("Messages.json", [])
        assert isinstance(answer, OutcomeUnknown)


async def test_twilio_is_not_awaited_inside_a_transaction(
    server: Server, http: aiohttp.ClientSession, db: Database
) -> None:
    async with db.transaction(UUID(int=1)):
        with pytest.raises(AssertionError):
            await rest_at(server.url, http).get("Messages.json")
    assert server.asked == []
