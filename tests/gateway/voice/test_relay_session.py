"""A call by text on a real socket and real rows, message by message, with what Twilio is ordered written down."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from gateway.limits import Limits
from gateway.simulator.twilio_wire import signature
from gateway.twilio.signature import HEADER
from tests.gateway.voice.telephone import AUDIO, FEE, PUBLIC, TOKEN, Telephone

SOCKET = f"wss{PUBLIC.removeprefix('https')}"
GREETING = "Hallo, hier ist die digitale Assistentin (KI)."
QUICK = Limits(call_lease_s=0.3, poll_s=0.02)


@dataclass
class Line:
    """Twilio's end of one call."""

    telephone: Telephone
    socket: aiohttp.ClientWebSocketResponse

    async def send(self, **frame: object) -> None:
        await self.socket.send_str(json.dumps(frame))

    async def begin(self, call_sid: str = "CA1") -> None:
        await self.send(type="setup", sessionId="VX1", callSid=call_sid)

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        told: dict[str, Any] = json.loads(message.data)
        return told

    async def closed(self) -> None:
        """Wait until we have closed the socket; whatever is said before does not matter."""
        async with asyncio.timeout(10):
            while (await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        await self.socket.close()

    async def ended(self) -> dict[str, Any]:
        """Wait until the call has ended; nothing of it is left."""

        async def over() -> bool:
            return (await self.telephone.call())["state"] == "ended" and not self.telephone.services.live_calls.calls

        await self.telephone.until(over)
        assert (await self.telephone.wallet())[1] == 0
        await self.telephone.audit()
        return await self.telephone.call()


@pytest.fixture
async def telephone(
    open_telephone: Callable[..., AbstractAsyncContextManager[Telephone]],
) -> AsyncIterator[Telephone]:
    async with open_telephone(engines={}, limits=QUICK) as opened:
        await opened.change_agent(voice={"engine": "conversation_relay", "interruptible_greeting": False})
        yield opened


async def dial(telephone: Telephone, call_sid: str = "CA1") -> Line:
    url = (await telephone.ring(call_sid))[0][0].get("url")
    assert url is not None
    headers = {HEADER: signature(url, (), TOKEN)}
    return Line(telephone, await telephone.http.ws_connect(url.removeprefix(SOCKET), headers=headers))


async def test_nothing_is_said_or_charged_before_twilio_says_which_call_it_is(telephone: Telephone) -> None:
    line = await dial(telephone)
    await line.send(type="prompt", voicePrompt="Hallo?", last=True)
    await line.closed()
    assert (await telephone.call())["state"] == "offered"
    assert await telephone.charges() == []


async def test_a_socket_that_says_it_is_another_call_is_closed(telephone: Telephone) -> None:
    line = await dial(telephone)
    await line.begin("CA2")
    await line.closed()
    assert (await telephone.call())["state"] == "offered"


async def test_the_greeting_comes_in_one_piece_that_may_not_be_cut_off(telephone: Telephone) -> None:
    line = await dial(telephone)
    await line.begin()
    assert await line.receive() == {"type": "text", "token": GREETING, "last": True, "interruptible": False}
    await line.socket.close()
    await line.ended()


async def test_the_first_minute_is_charged_when_it_begins_and_twilio_told_when_to_stop(telephone: Telephone) -> None:
    line = await dial(telephone)
    assert await telephone.charges() == []
    await line.begin()
    await line.receive()

    async def begun() -> bool:
        return await telephone.charges() == ["minute:1"] and telephone.carrier.forms("TimeLimit") == ["90"]

    await telephone.until(begun)
    assert (await telephone.wallet())[1] == AUDIO
    [live] = telephone.services.live_calls.calls.values()
    figures = live.figures()
    assert (figures.minutes_charged, figures.charged_millicredits, figures.held_millicredits) == (1, FEE, AUDIO)
    assert figures.state == "speaking"
    await line.socket.close()
    await line.ended()
    assert telephone.carrier.forms("Status") == []  # it is over already


async def test_words_that_were_played_are_charged_and_those_that_were_not_are_not(telephone: Telephone) -> None:
    line = await dial(telephone)
    await line.begin()
    await line.receive()
    await line.send(type="info", name="tokensPlayed", value="Hallo, hier ist")
    await line.send(type="prompt", voicePrompt="Guten Tag", lang="de-DE", last=True)
    await asyncio.sleep(0.05)
    await line.socket.close()
    row = await line.ended()
    count = telephone.services.count_tokens
    assert (row["input_tokens"], row["output_tokens"]) == (count("Guten Tag"), count("Hallo, hier ist"))
    said = await telephone.rows("SELECT author, text, content FROM message WHERE kind = 'speech' ORDER BY created_at")
    assert [(one["author"], one["text"]) for one in said] == [("agent", "Hallo, hier ist"), ("customer", "Guten Tag")]
    assert said[0]["content"]["spoken"] == GREETING


async def test_a_stream_that_has_lost_its_call_leaves_it_alone(telephone: Telephone) -> None:
    line = await dial(telephone)
    await line.begin()
    await line.receive()
    await telephone.rows("UPDATE call SET lease_epoch = lease_epoch + 1")
    await line.closed()
    row = await telephone.call()
    assert (row["state"], row["end_reason"]) == ("live", None)
    assert telephone.carrier.forms("Status") == []
    assert not telephone.services.live_calls.calls


async def test_a_call_that_twilio_has_ended_meanwhile_is_not_begun(telephone: Telephone) -> None:
    line = await dial(telephone)
    await telephone.told("completed", CallDuration="1")
    await line.begin()
    await line.closed()
    assert await telephone.charges() == []
    assert (await telephone.call())["state"] == "ended"


async def test_a_call_that_nothing_pays_any_more_is_hung_up(telephone: Telephone) -> None:
    line = await dial(telephone)
    await telephone.rows("UPDATE hold SET state = 'released', ended_at = now() WHERE state = 'open'")
    await telephone.rows("UPDATE wallet SET held_millicredits = 0, balance_millicredits = 0")
    await line.begin()
    await line.closed()
    row = await telephone.call()
    assert (row["state"], row["end_reason"], row["minutes_charged"]) == ("ended", "credits_ended", 0)
    assert telephone.carrier.forms("Status") == ["completed"]


async def test_a_lease_is_kept_while_the_call_goes_on(telephone: Telephone) -> None:
    line = await dial(telephone)
    await line.begin()
    await line.receive()
    before = (await telephone.call())["lease_until"]
    telephone.clock.advance(seconds=5)

    async def renewed() -> bool:
        until = (await telephone.call())["lease_until"]
        return bool(until > before)

    await telephone.until(renewed)
    await line.socket.close()
    await line.ended()


async def test_a_move_that_twilio_refuses_leaves_the_call_where_it_is(telephone: Telephone) -> None:
    line = await dial(telephone)
    await line.begin()
    await line.receive()
    telephone.carrier.refuses_with = 20500
    await line.send(type="info", name="tokensPlayed", value=GREETING)
    [live] = telephone.services.live_calls.calls.values()
    live.move()

    async def tried() -> bool:
        return bool(telephone.carrier.forms("Twiml")) and (await telephone.call())["state"] == "live"

    await telephone.until(tried)
    telephone.carrier.refuses_with = None
    await line.send(type="info", name="agentSpeaking", value="off")
    live.end("shutdown")
    pieces = [await line.receive(), await line.receive()]
    goodbye = "".join(piece["token"] for piece in pieces)
    assert goodbye == "Vielen Dank für Ihren Anruf. Auf Wiederhören!"
    await line.send(type="info", name="tokensPlayed", value=goodbye)
    await line.closed()
    row = await line.ended()
    assert (row["end_reason"], row["minutes_charged"]) == ("shutdown", 1)
    assert telephone.carrier.forms("Status") == ["completed"]
