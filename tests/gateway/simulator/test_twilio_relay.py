"""ConversationRelay at the simulated Twilio: recognises, speaks over time, is cut off, refuses wrong messages."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.twilio_relay import RelayLeg
from tests.gateway.simulator.scripted import KIM, OURS, calling, scripted

ATTRIBUTES = 'language="de-DE" dtmfDetection="true" events="speaker-events tokens-played"'
GREETING = "Guten Tag, hier ist der Salon."


@dataclass
class Relayed:
    """The gateway's side of one session."""

    socket: web.WebSocketResponse | None = None
    told: list[dict[str, Any]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.socket = web.WebSocketResponse()
        await self.socket.prepare(request)
        async for message in self.socket:
            self.told.append(json.loads(message.data))
        return self.socket

    async def send(self, message: Mapping[str, object] | str) -> None:
        assert self.socket is not None
        await self.socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def say(self, token: str, *, last: bool = True, **wishes: bool) -> None:
        await self.send({"type": "text", "token": token, "last": last, **wishes})

    async def wait_for(self, kind: str, count: int = 1, **values: object) -> list[dict[str, Any]]:
        def found() -> list[dict[str, Any]]:
            return [one for one in self.told if one["type"] == kind and values.items() <= one.items()]

        async with asyncio.timeout(10):
            while len(found()) < count:  # noqa: ASYNC110 - what comes over the socket tells nobody
                await asyncio.sleep(0.005)
        return found()


async def spoken(call: PlacedCall, count: int) -> None:
    """Wait until so many utterances have begun."""
    await call.wait_for(lambda placed: len(placed.said) == count)


@asynccontextmanager
async def relaying(attributes: str = ATTRIBUTES) -> AsyncIterator[tuple[FakeTwilio, PlacedCall, Relayed]]:
    """Place a call that is answered with a relay."""
    relayed = Relayed()
    app = web.Application()
    app.router.add_get("/relay", relayed.handle)
    async with scripted() as gateway, TestServer(app) as server, calling(gateway) as twilio:
        url = str(server.make_url("/relay")).replace("http://", "ws://")
        gateway.says("/voice", f'<Connect><ConversationRelay url="{url}" {attributes}/></Connect><Say>Danach.</Say>')
        number = twilio.numbers.by_number(OURS)
        assert number is not None
        number.voice_url = f"{gateway.url}/voice"
        number.status_callback = ""
        call = twilio.calls.place(KIM, OURS)
        await relayed.wait_for("setup")
        await call.wait_for(lambda placed: placed.listener is not None)
        yield twilio, call, relayed
        if not call.is_over:
            await call.hang_up()


async def test_a_session_begins_with_its_call() -> None:
    async with relaying() as (_twilio, call, relayed):
        [setup] = await relayed.wait_for("setup")
        assert (setup["callSid"], setup["from"], setup["to"]) == (call.sid, KIM, OURS)
        assert setup["sessionId"].startswith("VX")


async def test_words_are_spoken_and_told_and_what_follows_the_session_is_done() -> None:
    async with relaying() as (_twilio, call, relayed):
        await relayed.say("Guten Tag, ", last=False)
        await relayed.say("hier ist der Salon.")
        await relayed.wait_for("info", name="agentSpeaking", value="on")
        await relayed.wait_for("info", name="agentSpeaking", value="off")
        played = await relayed.wait_for("info", 2, name="tokensPlayed")
        assert "".join(one["value"] for one in played) == GREETING
        assert list(call.said) == [GREETING]
        await relayed.send({"type": "end"})
        await call.wait_for_end()
        assert list(call.said) == [GREETING, "Danach."]


async def test_what_the_caller_says_is_recognised_with_its_language() -> None:
    async with relaying() as (_twilio, call, relayed):
        await call.wait_for(lambda placed: placed.listener is not None)
        await call.say("Was kostet das?")
        [prompt] = await relayed.wait_for("prompt")
        assert prompt == {"type": "prompt", "voicePrompt": "Was kostet das?", "lang": "de-DE", "last": True}


async def test_who_speaks_in_between_is_heard_and_cuts_off() -> None:
    async with relaying() as (twilio, call, relayed):
        twilio.calls.say_char_ms = 10.0
        await relayed.say(GREETING)
        await call.wait_for(lambda placed: any("hier" in text for text in placed.said))
        await call.say("Moment.")
        [interrupt] = await relayed.wait_for("interrupt")
        assert GREETING.startswith(interrupt["utteranceUntilInterrupt"])
        assert interrupt["utteranceUntilInterrupt"] != GREETING
        assert int(interrupt["durationUntilInterruptMs"]) >= 10 * len(interrupt["utteranceUntilInterrupt"])
        assert list(call.said) == [interrupt["utteranceUntilInterrupt"]]
        assert [one["type"] for one in relayed.told if one["type"] != "info"] == ["setup", "interrupt", "prompt"]


async def test_the_time_until_an_interrupt_is_told_as_number_and_as_text() -> None:
    async with relaying() as (twilio, call, relayed):
        twilio.calls.say_char_ms = 10.0
        for count in (1, 2):
            await relayed.say(GREETING)
            await spoken(call, count)
            await call.say("Moment.")
            await relayed.wait_for("interrupt", count)
        kinds = [type(one["durationUntilInterruptMs"]) for one in await relayed.wait_for("interrupt", 2)]
        assert kinds == [int, str]


async def test_what_must_not_be_cut_off_is_spoken_to_its_end() -> None:
    async with relaying() as (twilio, call, relayed):
        twilio.calls.say_char_ms = 5.0
        await relayed.say(GREETING, interruptible=False)
        await call.wait_for(lambda placed: bool(placed.said))
        await call.say("Moment.")
        await relayed.wait_for("info", name="agentSpeaking", value="off")
        assert list(call.said) == [GREETING]
        assert not [one for one in relayed.told if one["type"] in ("interrupt", "prompt")]


async def test_what_may_be_preempted_gives_way_to_what_is_said_next() -> None:
    async with relaying() as (twilio, call, relayed):
        twilio.calls.say_char_ms = 10.0
        await relayed.say(GREETING, preemptible=True)
        await call.wait_for(lambda placed: bool(placed.said))
        await relayed.say("Tschüss.")
        await call.wait_for(lambda placed: "Tschüss." in placed.said)
        assert call.said[0] != GREETING
        assert not [one for one in relayed.told if one["type"] == "interrupt"]


async def test_keys_are_told() -> None:
    async with relaying() as (_twilio, call, relayed):
        await call.wait_for(lambda placed: placed.listener is not None)
        await call.press("1#")
        assert [one["digit"] for one in await relayed.wait_for("dtmf", 2)] == ["1", "#"]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        '{"foo": "bar"}',
        '{"type": "text"}',
        '{"type": "text", "token": 1}',
        '{"type": "text", "token": "a", "last": "yes"}',
    ],
)
async def test_a_message_that_is_wrong_is_refused_and_the_session_goes_on(message: str) -> None:
    async with relaying() as (_twilio, call, relayed):
        await relayed.send(message)
        [error] = await relayed.wait_for("error")
        assert "64107" in error["description"]
        assert call.warnings == [error["description"]]
        await relayed.say(GREETING)
        await call.wait_for(lambda placed: GREETING in placed.said)


async def test_a_document_may_greet_and_tell_nothing() -> None:
    async with relaying(f'welcomeGreeting="{GREETING}"') as (_twilio, call, relayed):
        await call.wait_for(lambda placed: GREETING in placed.said)
        assert [one["type"] for one in relayed.told] == ["setup"]


async def test_a_session_that_goes_dead_neither_hears_nor_ends() -> None:
    async with relaying() as (_twilio, call, relayed):
        await call.wait_for(lambda placed: placed.listener is not None)
        leg = call.listener
        assert isinstance(leg, RelayLeg)
        call.lose_connection()
        await call.say("Hallo?")
        assert [one["type"] for one in relayed.told] == ["setup"]
        await call.hang_up()
        assert call.end_reason == "caller"
