"""Sending and typing over a real socket, with everything that can go wrong on it."""

import asyncio
import socket
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.channels.base import Address, LineCredentials, Outbound
from gateway.channels.whatsapp.client import MetaChannel
from gateway.db import Database
from gateway.errors import (
    SendNotConnectedError,
    SendOutcomeUnknownError,
    SendRefusedError,
    SendThrottledError,
)
from tests.gateway.channels.whatsapp.meta_server import MetaServer

LINE = LineCredentials(
    line_id=UUID(int=1), number="+4915100000001", provider_line_id="1000001", access_token="line token"
)
OUTBOUND = Outbound(message_id=UUID(int=7), to=Address(kind="phone", value="+491700000101"), text="Gern! 😊")
MESSAGES = "/v23.0/1000001/messages"


def channel(meta: MetaServer, http: aiohttp.ClientSession, *, timeout_s: float = 20) -> MetaChannel:
    timeout = aiohttp.ClientTimeout(total=timeout_s, connect=5)
    return MetaChannel(http, f"{meta.url}/v23.0", "default token", send_timeout=timeout)


async def test_a_text_goes_to_a_number_with_our_own_id(meta: MetaServer, http: aiohttp.ClientSession) -> None:
    meta.answer(MESSAGES, {"messages": [{"id": "wamid.1"}]})
    acknowledgement = await channel(meta, http).send(LINE, OUTBOUND)
    assert acknowledgement.provider_id == "wamid.1"
    [(path, headers, body)] = meta.asked
    assert path == MESSAGES
    assert headers["Authorization"] == "Bearer line token"
    assert body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+491700000101",
        "type": "text",
        "text": {"body": "Gern! 😊", "preview_url": False},
        "biz_opaque_callback_data": "00000000-0000-0000-0000-000000000007",
    }


@pytest.mark.parametrize("kind", ["bsuid", "parent_bsuid"])
async def test_a_customer_without_a_number_is_written_to_by_id(
    meta: MetaServer, http: aiohttp.ClientSession, kind: str
) -> None:
    meta.answer(MESSAGES, {"messages": [{"id": "wamid.1"}]})
    to = Address(kind=kind, value="DE.1001")  # type: ignore[arg-type] # parametrized
    await channel(meta, http).send(LINE, Outbound(message_id=UUID(int=7), to=to, text="Gern!"))
    body = meta.asked[0][2]
    assert body["recipient"] == "DE.1001"
    assert "to" not in body


async def test_a_line_without_a_token_uses_the_default_one(meta: MetaServer, http: aiohttp.ClientSession) -> None:
    meta.answer(MESSAGES, {"messages": [{"id": "wamid.1"}]})
    line = LineCredentials(line_id=UUID(int=1), number="+49", provider_line_id="1000001", access_token=None)
    await channel(meta, http).send(line, OUTBOUND)
    assert meta.asked[0][1]["Authorization"] == "Bearer default token"


@pytest.mark.parametrize(("provider_line_id", "code"), [(None, "no_phone_number_id"), ("1000001", "no_access_token")])
async def test_a_line_that_lacks_what_sending_needs_is_down(
    http: aiohttp.ClientSession, provider_line_id: str | None, code: str
) -> None:
    meta_channel = MetaChannel(http, "http://127.0.0.1:1", None if provider_line_id else "token")
    line = LineCredentials(line_id=UUID(int=1), number="+49", provider_line_id=provider_line_id, access_token=None)
    with pytest.raises(SendRefusedError) as caught:
        await meta_channel.send(line, OUTBOUND)
    assert (caught.value.code, caught.value.channel_down) == (code, True)
    await meta_channel.show_typing(line, provider_id="wamid.IN1")  # best effort: no error


async def test_a_refusal_is_sorted_by_its_code(meta: MetaServer, http: aiohttp.ClientSession) -> None:
    meta.answer(MESSAGES, {"error": {"code": 131047, "message": "Re-engagement message"}}, status=400)
    with pytest.raises(SendRefusedError) as caught:
        await channel(meta, http).send(LINE, OUTBOUND)
    assert caught.value.window_closed


async def test_the_time_to_wait_is_taken_from_the_header(meta: MetaServer, http: aiohttp.ClientSession) -> None:
    meta.answer(MESSAGES, b"slow down", status=429, headers={"Retry-After": "17"})
    with pytest.raises(SendThrottledError) as caught:
        await channel(meta, http).send(LINE, OUTBOUND)
    assert caught.value.retry_after_s == 17


async def test_nobody_listening_means_that_nothing_was_taken(http: aiohttp.ClientSession) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(SendNotConnectedError):
        await MetaChannel(http, f"http://127.0.0.1:{port}", "token").send(LINE, OUTBOUND)


async def test_a_connection_dropped_after_the_request_may_have_been_taken(
    meta: MetaServer, http: aiohttp.ClientSession
) -> None:
    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    meta.answers[MESSAGES] = drop
    with pytest.raises(SendOutcomeUnknownError):
        await channel(meta, http).send(LINE, OUTBOUND)
    assert len(meta.asked) == 1


async def test_an_answer_cut_off_in_the_middle_may_have_been_an_acceptance(
    meta: MetaServer, http: aiohttp.ClientSession
) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"messages": [{"id"')
        assert request.transport is not None
        request.transport.abort()
        return response

    meta.answers[MESSAGES] = cut
    with pytest.raises(SendOutcomeUnknownError):
        await channel(meta, http).send(LINE, OUTBOUND)


async def test_an_answer_that_never_comes_may_have_been_an_acceptance(
    meta: MetaServer, http: aiohttp.ClientSession
) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3)
        return web.Response()

    meta.answers[MESSAGES] = hang
    with pytest.raises(SendOutcomeUnknownError):
        await channel(meta, http, timeout_s=0.1).send(LINE, OUTBOUND)


async def test_a_redirect_is_not_followed_with_the_token(meta: MetaServer, http: aiohttp.ClientSession) -> None:
    meta.answer(MESSAGES, b"", status=307, headers={"Location": f"{meta.url}/elsewhere"})
    with pytest.raises(SendRefusedError):
        await channel(meta, http).send(LINE, OUTBOUND)
    assert len(meta.asked) == 1


async def test_typing_marks_read_and_shows_that_an_answer_is_being_written(
    meta: MetaServer, http: aiohttp.ClientSession
) -> None:
    meta.answer(MESSAGES, {"success": True})
    await channel(meta, http).show_typing(LINE, provider_id="wamid.IN1")
    assert meta.asked[0][2] == {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": "wamid.IN1",
        "typing_indicator": {"type": "text"},
    }


async def test_typing_that_fails_is_nobodys_problem(meta: MetaServer, http: aiohttp.ClientSession) -> None:
    meta.answer(MESSAGES, {"error": {"code": 131009}}, status=400)
    with capture_logs() as logs:
        await channel(meta, http).show_typing(LINE, provider_id="wamid.IN1")
        await MetaChannel(http, "http://127.0.0.1:1", "token").show_typing(LINE, provider_id="wamid.IN1")
    assert [entry["event"] for entry in logs] == ["typing_not_shown", "typing_not_shown"]


async def test_neither_texts_nor_numbers_nor_tokens_are_logged_or_raised(
    meta: MetaServer, http: aiohttp.ClientSession
) -> None:
    meta.answer(MESSAGES, {"error": {"code": 100, "message": "Recipient +491700000101 is wrong"}}, status=400)
    with capture_logs() as logs, pytest.raises(SendRefusedError) as caught:
        await channel(meta, http).send(LINE, OUTBOUND)
    said = f"{logs} {caught.value} {caught.value.__cause__} {LINE!r}"
    assert not any(secret in said for secret in ("491700000101", "Gern", "line token", "default token"))


async def test_no_vendor_is_asked_inside_a_transaction(
    meta: MetaServer, http: aiohttp.ClientSession, db: Database
) -> None:
    meta.answer(MESSAGES, {"messages": [{"id": "wamid.1"}]})
    async with db.transaction(UUID(int=1)):
        with pytest.raises(AssertionError):
            await channel(meta, http).send(LINE, OUTBOUND)
        with pytest.raises(AssertionError):
            await channel(meta, http).show_typing(LINE, provider_id="wamid.IN1")
    assert meta.asked == []
