"""Meta's webhook over HTTP: what is refused before anything is read, and what Meta is to send again."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import asyncpg
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from gateway.channels.base import Inbound, LineEvent, Malformed
from gateway.channels.whatsapp.routes import PATH, routes
from gateway.channels.whatsapp.signature import HEADER, sign

SECRET = "app secret"
TOKEN = "verify me"
BODY_MAX = 10_000
BODY = orjson.dumps(
    {
        "entry": [
            {
                "changes": [
                    {
                        "field": "messages",
                        "value": {
                            "metadata": {"phone_number_id": "1000001"},
                            "messages": [{"id": "wamid.1", "from": "49170", "type": "text", "text": {"body": "Grüße"}}],
                        },
                    }
                ]
            }
        ]
    }
)


@dataclass
class Accepted:
    """Remembers what was accepted, or fails as the database would."""

    error: Exception | None = None
    calls: list[tuple[str, Sequence[LineEvent], Sequence[Malformed], bytes]] = field(default_factory=list)

    async def accept(
        self, provider: str, events: Sequence[LineEvent], malformed: Sequence[Malformed], body: bytes
    ) -> None:
        if self.error is not None:
            raise self.error
        self.calls.append((provider, events, malformed, body))


def client(
    accepted: Accepted, *, app_secret: str | None = SECRET, verify_token: str | None = TOKEN
) -> TestClient[web.Request, web.Application]:
    app = web.Application()
    app.add_routes(routes(accept=accepted.accept, app_secret=app_secret, verify_token=verify_token, body_max=BODY_MAX))
    return TestClient(TestServer(app))


async def test_a_signed_body_is_accepted_as_it_came() -> None:
    accepted = Accepted()
    async with client(accepted) as http:
        response = await http.post(PATH, data=BODY, headers={HEADER: sign(BODY, SECRET)})
    assert response.status == 200
    [(provider, events, malformed, body)] = accepted.calls
    assert (provider, malformed, body) == ("meta", [], BODY)
    assert isinstance(events[0].event, Inbound)
    assert events[0].event.text == "Grüße"


@pytest.mark.parametrize(
    "header", [None, "", "sha256=", sign(BODY, "another"), sign(BODY + b" ", SECRET), sign(BODY, SECRET).upper()]
)
async def test_what_is_not_signed_by_meta_is_refused_unread(header: str | None) -> None:
    accepted = Accepted()
    async with client(accepted) as http:
        response = await http.post(PATH, data=BODY, headers={} if header is None else {HEADER: header})
    assert response.status == 401
    assert accepted.calls == []


async def test_without_a_secret_everything_is_refused_and_the_operator_is_told() -> None:
    accepted = Accepted()
    with capture_logs() as logs:
        http = client(accepted, app_secret=None)
    assert {"missing": "WHATSAPP_APP_SECRET", "event": "whatsapp_webhooks_refused", "log_level": "error"} in logs
    async with http:
        response = await http.post(PATH, data=BODY, headers={HEADER: sign(BODY, "")})
    assert response.status == 401
    assert accepted.calls == []


async def test_a_body_beyond_the_limit_is_refused_whether_announced_or_not() -> None:
    accepted = Accepted()
    body = b"{" + b" " * BODY_MAX

    async def unannounced() -> AsyncIterator[bytes]:
        yield body[:5_000]
        yield body[5_000:]

    async with client(accepted) as http:
        announced = await http.post(PATH, data=body, headers={HEADER: sign(body, SECRET)})
        chunked = await http.post(PATH, data=unannounced(), headers={HEADER: sign(body, SECRET)})
        fitting = body[:BODY_MAX]
        at_limit = await http.post(PATH, data=fitting, headers={HEADER: sign(fitting, SECRET)})
    assert (announced.status, chunked.status, at_limit.status) == (413, 413, 200)
    assert len(accepted.calls) == 1


async def test_a_signed_body_that_is_no_webhook_is_stored_aside_and_never_sent_again() -> None:
    accepted = Accepted()
    async with client(accepted) as http:
        response = await http.post(PATH, data=b"not JSON", headers={HEADER: sign(b"not JSON", SECRET)})
    assert response.status == 200
    assert accepted.calls[0][2] == [Malformed(reason="not JSON", fragment=b"not JSON")]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError(),
        asyncpg.CannotConnectNowError(),
        asyncpg.TooManyConnectionsError(),
        asyncpg.AdminShutdownError(),
        asyncpg.DiskFullError(),
        asyncpg.DeadlockDetectedError(),
        asyncpg.ReadOnlySQLTransactionError(),
        asyncpg.InterfaceError("connection is closed"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_cannot_be_stored_now_is_asked_for_again(error: Exception) -> None:
    async with client(Accepted(error=error)) as http:
        response = await http.post(PATH, data=BODY, headers={HEADER: sign(BODY, SECRET)})
    assert response.status == 503


async def test_meta_gets_its_challenge_back_as_it_came() -> None:
    async with client(Accepted()) as http:
        query = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "0042abc"}
        response = await http.get(PATH, params=query)
        assert (response.status, await response.text()) == (200, "0042abc")
        assert response.content_type == "text/plain"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"hub.mode": "subscribe", "hub.challenge": "1"},
        {"hub.mode": "subscribe", "hub.verify_token": "verify m\u00ea", "hub.challenge": "1"},
        {"hub.mode": "unsubscribe", "hub.verify_token": TOKEN, "hub.challenge": "1"},
        {"hub.verify_token": TOKEN, "hub.challenge": "1"},
    ],
)
async def test_whoever_does_not_know_the_token_gets_no_challenge(query: dict[str, str]) -> None:
    async with client(Accepted()) as http:
        assert (await http.get(PATH, params=query)).status == 403


@pytest.mark.parametrize("verify_token", [None, ""])
async def test_without_a_token_nobody_can_verify(verify_token: str | None) -> None:
    async with client(Accepted(), verify_token=verify_token) as http:
        query = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}
        assert (await http.get(PATH, params=query)).status == 403


async def test_neither_the_text_nor_the_number_is_logged() -> None:
    with capture_logs() as logs:
        async with client(Accepted(error=OSError())) as http:
            await http.post(PATH, data=BODY, headers={HEADER: sign(BODY, SECRET)})
            await http.post(PATH, data=BODY)
    assert len(logs) == 2
    assert not any(secret in str(logs) for secret in ("Grüße", "49170", SECRET))
