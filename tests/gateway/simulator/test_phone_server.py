"""The phone's page as its own server: what a text by SMS would cost, and what is not taken."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import pytest

from gateway.channels.sms.segments import count_segments
from gateway.simulator.meta import FakeMeta
from gateway.simulator.meta_wire import Business
from gateway.simulator.phone.server import Phone, Scene
from gateway.simulator.phone.sms_chat import SmsRates
from gateway.simulator.twilio import FakeTwilio

NUMBER: Final = "+4915100000001"
BUSINESS: Final = Business(phone_number_id="1000001", display_number=NUMBER)
NOWHERE: Final = "http://127.0.0.1:1"  # nothing listens there
RATES: Final = SmsRates(sent_millicredits=2_500_000, received_millicredits=200_000)


async def _nothing() -> None:
    """Do what the operator's buttons do in the demo."""


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    made = FakeTwilio(account_sid="AC1", auth_token="token", public_url=NOWHERE, numbers=[NUMBER])
    async with made.running():
        yield made


@pytest.fixture
async def page(twilio: FakeTwilio) -> AsyncIterator[aiohttp.ClientSession]:
    meta = FakeMeta(webhook_url=NOWHERE, app_secret="secret", token="token", businesses=[BUSINESS])
    scene = Scene(
        meta=meta,
        business=BUSINESS,
        twilio=twilio,
        realtime=None,
        voice_model="offline",
        has_ear=False,
        sms_rates=RATES,
        salon="Salon",
        model="offline",
        offline=True,
        gateway_url=NOWHERE,
        api_token="token",
        grant=_nothing,
        drain=_nothing,
    )
    served = Phone(scene, asyncio.Event()).running("127.0.0.1", 0)
    async with served as address, aiohttp.ClientSession(address) as http:
        yield http


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "GSM-7", 0, 0),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("10 €", "GSM-7", 5, 1),
        ("x" * 69 + "😊", "UCS-2", 71, 2),
    ],
)
async def test_a_text_is_counted_as_it_would_be_received(
    page: aiohttp.ClientSession, text: str, encoding: str, units: int, segments: int
) -> None:
    async with page.post("/count", json={"text": text}) as answer:
        assert await answer.json() == {
            "characters": len(text),
            "encoding": encoding,
            "units": units,
            "segments": segments,
            "price_millicredits": segments * 200_000,
        }


async def test_the_blanks_around_a_text_are_not_sent_and_not_counted(page: aiohttp.ClientSession) -> None:
    async with page.post("/count", json={"text": f"  {'a' * 160}\n"}) as answer:
        assert (await answer.json())["segments"] == 1


@pytest.mark.parametrize(("length", "status"), [(1_600, 200), (1_601, 400)])
async def test_no_more_is_counted_than_can_be_sent(page: aiohttp.ClientSession, length: int, status: int) -> None:
    async with page.post("/count", json={"text": "a" * length}) as answer:
        assert answer.status == status


async def test_only_the_pages_own_scripts_may_ask(page: aiohttp.ClientSession) -> None:
    async with page.post("/count", data={"text": "a"}) as answer:
        assert answer.status == 400
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


async def test_what_was_counted_is_what_reaches_twilio(page: aiohttp.ClientSession, twilio: FakeTwilio) -> None:
    text = "Ein Termin am Freitag? 😊 " * 4
    async with page.post("/write", json={"text": text, "channel": "sms"}) as answer:
        assert answer.status == 204
    (taken,) = twilio.messages.values()
    assert (taken.to, taken.body) == (NUMBER, text.strip())
    assert taken.segments == count_segments(text.strip()).segments == 2


@pytest.mark.parametrize(
    "asked",
    [
        {"text": "a" * 1_601, "channel": "sms"},
        {"text": "hallo", "kind": "voice", "channel": "sms"},
        {"kind": "image", "channel": "sms"},
        {"text": " ", "channel": "sms"},
        {"text": "hallo", "channel": "fax"},
    ],
)
async def test_what_cannot_go_by_sms_is_refused(
    page: aiohttp.ClientSession, twilio: FakeTwilio, asked: dict[str, str]
) -> None:
    async with page.post("/write", json=asked) as answer:
        assert answer.status == 400
    assert not twilio.messages


async def test_stop_and_start_are_answered_by_twilio_itself_without_a_price(page: aiohttp.ClientSession) -> None:
    for word in ("STOP", "START"):
        async with page.post("/write", json={"text": word, "channel": "sms"}) as answer:
            assert answer.status == 204
    async with page.get("/events", params={"channel": "sms"}) as events:
        told = (await events.content.readline()).decode()
    assert told.count('"kind":"carrier"') == 2
    assert told.index("STOP") < told.index("unsubscribed") < told.index("re-subscribed")
    assert told.count("price_millicredits") == 2  # of what the customer wrote
