"""Every channel keeps the promises of `MessageChannel`, so that turns and the outbox need to know none of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote_plus
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.base import DeliveryReport, DeliveryStatus, Inbound, MessageChannel, Outbound
from gateway.db import Database
from gateway.errors import (
    SendNotConnectedError,
    SendOutcomeUnknownError,
    SendRefusedError,
    SendThrottledError,
)
from tests.gateway.channels.conformance import CASES, STYLE, Answer, ChannelCase

MESSAGE_ID = UUID("019ab1c0-0000-7000-8000-000000000001")

every_channel = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@dataclass
class Provider:
    """Answers every request alike; None: drops the connection."""

    answer: Answer | None
    requests: list[bytes] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(await request.read())
        if self.answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=self.answer.status, body=self.answer.body)


@asynccontextmanager
async def opened(case: ChannelCase, provider: Provider) -> AsyncIterator[MessageChannel]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider.handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        yield case.open_channel(http, str(server.make_url("/")).rstrip("/"))


async def send(case: ChannelCase, answer: Answer | None) -> tuple[str, Provider]:
    provider = Provider(answer)
    async with opened(case, provider) as channel:
        outbound = Outbound(message_id=MESSAGE_ID, to=case.to, text="Gern!")
        acknowledgement = await channel.send(case.line, outbound)
    return acknowledgement.provider_id, provider


@every_channel
async def test_a_message_that_was_taken_has_the_providers_id_and_carries_ours(case: ChannelCase) -> None:
    provider_id, provider = await send(case, case.taken)
    assert provider_id == case.taken_id
    [request] = provider.requests
    said = unquote_plus(request.decode())
    assert str(MESSAGE_ID) in said
    assert "Gern!" in said


@every_channel
async def test_a_failed_send_is_sorted_by_what_may_be_done(case: ChannelCase) -> None:
    with pytest.raises(SendRefusedError) as refused:
        await send(case, case.refused)
    assert not refused.value.window_closed
    with pytest.raises(SendThrottledError):
        await send(case, case.throttled)
    with pytest.raises(SendNotConnectedError):
        await send(case, case.unwell)
    with pytest.raises(SendOutcomeUnknownError):
        await send(case, None)


@every_channel
async def test_a_closed_window_is_named(case: ChannelCase) -> None:
    if case.window_closed is None:
        pytest.skip("this channel has no window")
    with pytest.raises(SendRefusedError) as refused:
        await send(case, case.window_closed)
    assert refused.value.window_closed


@every_channel
async def test_nobody_listening_means_that_nothing_was_taken(case: ChannelCase) -> None:
    async with aiohttp.ClientSession() as http:
        channel = case.open_channel(http, "http://127.0.0.1:9")
        with pytest.raises(SendNotConnectedError):
            await channel.send(case.line, Outbound(message_id=MESSAGE_ID, to=case.to, text="Gern!"))


@every_channel
async def test_a_send_whose_answer_was_lost_is_looked_up_or_said_not_to_be(case: ChannelCase) -> None:
    outbound = Outbound(message_id=MESSAGE_ID, to=case.to, text="Gern!")
    since = datetime(2026, 11, 25, tzinfo=UTC)
    async with opened(case, Provider(case.nothing_sent)) as channel:
        assert channel.looks_up == (case.nothing_sent is not None)
        if channel.looks_up:
            assert await channel.find_sent(case.line, outbound, since=since) is None
        else:
            with pytest.raises(LookupError):
                await channel.find_sent(case.line, outbound, since=since)
    if not case.composer.looks_up:
        return
    for answer in (case.refused, case.throttled, case.unwell, None):  # who cannot ask knows nothing
        async with opened(case, Provider(answer)) as channel:
            with pytest.raises(SendOutcomeUnknownError):
                await channel.find_sent(case.line, outbound, since=since)


@every_channel
@given(text=st.text())
def test_what_fits_is_sent_whole_and_every_part_is_priced(case: ChannelCase, text: str) -> None:
    parts = case.composer.compose(text, STYLE)
    assert all(case.composer.billed_units(part) >= 1 for part in parts)
    if not case.composer.fits(text, STYLE):
        assert sum(map(case.composer.billed_units, parts)) <= STYLE.segments_max


@every_channel
async def test_typing_never_fails(case: ChannelCase) -> None:
    for answer in (case.taken, case.refused, case.throttled, case.unwell, None):
        async with opened(case, Provider(answer)) as channel:
            await channel.show_typing(case.line, provider_id="in-1")


@every_channel
async def test_no_provider_is_awaited_inside_a_transaction(case: ChannelCase, db: Database) -> None:
    provider = Provider(case.taken)
    async with opened(case, provider) as channel, db.transaction(UUID(int=1)):
        with pytest.raises(AssertionError):
            await channel.send(case.line, Outbound(message_id=MESSAGE_ID, to=case.to, text="Gern!"))
    assert provider.requests == []


@every_channel
async def test_a_cancelled_send_is_cancelled(case: ChannelCase) -> None:
    started = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        started.set()
        await asyncio.sleep(5)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hang)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        channel = case.open_channel(http, str(server.make_url("/")).rstrip("/"))
        task = asyncio.create_task(channel.send(case.line, Outbound(message_id=MESSAGE_ID, to=case.to, text="Gern!")))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@every_channel
@given(text=st.text())
def test_parts_are_never_empty_nor_too_long(case: ChannelCase, text: str) -> None:
    parts = case.composer.compose(text, STYLE)
    assert bool(parts) == bool(text.strip())
    assert all(part.strip() and len(part) <= case.part_chars_max for part in parts)


@every_channel
@given(text=st.text(min_size=1), max_tokens=st.integers(0, 40))
def test_shortened_parts_are_affordable(case: ChannelCase, text: str, max_tokens: int) -> None:
    parts = case.composer.shorten(case.composer.compose(text, STYLE), max_tokens=max_tokens, count_tokens=len)
    assert sum(map(len, parts)) <= max_tokens
    assert all(parts)


@every_channel
def test_a_customers_text_comes_through_alike_each_time(case: ChannelCase) -> None:
    [event], malformed = case.parse(case.message)
    assert malformed == []
    assert isinstance(event.event, Inbound)
    assert event.event.text == "Hallo"
    assert event.event.provider_id
    assert event.event.sender.reply_to in event.event.sender.addresses
    assert case.parse(case.message) == ([event], [])


@every_channel
def test_a_word_that_the_provider_added_changes_nothing(case: ChannelCase) -> None:
    [event], _ = case.parse(case.unheard_status)
    assert isinstance(event.event, DeliveryReport)
    assert event.event.status is DeliveryStatus.UNKNOWN


@every_channel
@given(body=st.binary())
def test_no_body_raises(case: ChannelCase, body: bytes) -> None:
    case.parse(body)
