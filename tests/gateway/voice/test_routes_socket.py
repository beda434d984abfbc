"""The socket of a call: signed by Twilio over the public address, opened once by its token, and nothing before that."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import aiohttp
import pytest

from gateway.simulator.twilio_wire import signature
from gateway.twilio.signature import HEADER
from gateway.voice.addresses import MEDIA
from tests.conftest import Clock
from tests.gateway.voice.engine import ScriptedEngine
from tests.gateway.voice.telephone import PUBLIC, TOKEN, Telephone

SOCKET = f"wss{PUBLIC.removeprefix('https')}"


@pytest.fixture
async def telephone(
    open_telephone: Callable[..., AbstractAsyncContextManager[Telephone]],
) -> AsyncIterator[Telephone]:
    async with open_telephone(engines={"realtime": ScriptedEngine()}) as opened:
        await opened.change_agent(voice={"engine": "conversation_relay"})
        yield opened


async def path_of(telephone: Telephone, call_sid: str = "CA1") -> str:
    url = (await telephone.ring(call_sid))[0][0].get("url")
    assert url is not None
    return url.removeprefix(SOCKET)


async def connect(telephone: Telephone, path: str, *, signed: str | None = None) -> aiohttp.ClientWebSocketResponse:
    headers = {HEADER: signature(SOCKET + path if signed is None else signed, (), TOKEN)}
    return await telephone.http.ws_connect(path, headers=headers)


async def refused(telephone: Telephone, path: str, *, signed: str | None = None) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await connect(telephone, path, signed=signed)
    return error.value.status


@pytest.mark.parametrize("scheme", ["wss", "https"])
async def test_a_signed_socket_with_a_fresh_token_is_let_in(telephone: Telephone, scheme: str) -> None:
    path = await path_of(telephone)
    socket = await connect(telephone, path, signed=f"{scheme}{PUBLIC.removeprefix('https')}{path}")
    assert socket.compress == 0
    await socket.close()


async def test_a_token_opens_one_socket(telephone: Telephone) -> None:
    path = await path_of(telephone)
    socket = await connect(telephone, path)
    assert await refused(telephone, path) == 403
    await socket.close()
    assert await refused(telephone, path) == 403


async def test_of_several_who_come_with_one_token_one_is_let_in(telephone: Telephone) -> None:
    path = await path_of(telephone)
    outcomes = await asyncio.gather(*(connect(telephone, path) for _ in range(5)), return_exceptions=True)
    opened = [outcome for outcome in outcomes if isinstance(outcome, aiohttp.ClientWebSocketResponse)]
    assert len(opened) == 1
    await opened[0].close()


async def test_whoever_is_not_twilio_uses_up_no_token(telephone: Telephone) -> None:
    path = await path_of(telephone)
    for signed in (f"wss://127.0.0.1{path}", f"{SOCKET}{MEDIA}/another", ""):
        assert await refused(telephone, path, signed=signed) == 403
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await telephone.http.ws_connect(path)
    await (await connect(telephone, path)).close()


async def test_a_token_is_good_for_a_minute(telephone: Telephone, clock: Clock) -> None:
    path, late = await path_of(telephone, "CA1"), await path_of(telephone, "CA2")
    clock.advance(seconds=59.9)
    await (await connect(telephone, path)).close()
    clock.advance(seconds=0.1)
    assert await refused(telephone, late) == 403


@pytest.mark.parametrize("token", ["guessed", "%ed%a0%80", "x" * 5_000])
async def test_a_token_that_nobody_was_given_opens_nothing(telephone: Telephone, token: str) -> None:
    assert await refused(telephone, f"{MEDIA}/{token}") in (400, 403)
