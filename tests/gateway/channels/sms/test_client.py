"""SMS by Twilio against the simulated one: sending, finding again, and files."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway.channels.base import Acknowledgement, Address, LineCredentials, MediaReference, Outbound
from gateway.channels.sms.client import TwilioSmsChannel
from gateway.errors import (
    MediaError,
    SendNotConnectedError,
    SendOutcomeUnknownError,
    SendRefusedError,
    SendThrottledError,
)
from gateway.simulator.faults import TwilioFaults
from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_customer import TwilioCustomer
from gateway.twilio.rest import TwilioRest
from tests.gateway.simulator.listener import Listener, listening

SID = "AC" + "0" * 32
OURS, KIM = "+4915735990000", "+491700000101"
LINE = LineCredentials(line_id=UUID(int=1), number=OURS, provider_line_id=None, access_token=None)
OUTBOUND = Outbound(message_id=UUID(int=7), to=Address(kind="phone", value=KIM), text="Gern!")


@pytest.fixture
async def gateway() -> AsyncIterator[Listener]:
    async with listening() as listener:
        yield listener


@pytest.fixture
async def twilio(gateway: Listener) -> AsyncIterator[FakeTwilio]:
    fake = FakeTwilio(account_sid=SID, auth_token="twilio token", public_url=gateway.url, numbers=[OURS])
    async with fake.running():
        yield fake


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def channel(twilio: FakeTwilio, gateway: Listener, http: aiohttp.ClientSession) -> TwilioSmsChannel:
    return TwilioSmsChannel(TwilioRest(http, twilio.url, SID, "twilio token", twilio.url), gateway.url)


def outbound(text: str, *, message_id: int = 7) -> Outbound:
    return Outbound(message_id=UUID(int=message_id), to=OUTBOUND.to, text=text)


async def test_a_text_is_acknowledged_with_its_segments_and_reported_on_with_our_id(
    twilio: FakeTwilio, gateway: Listener, channel: TwilioSmsChannel
) -> None:
    acknowledged = await channel.send(LINE, outbound("x" * 161))
    [sent] = twilio.sent
    assert acknowledged == Acknowledgement(provider_id=sent.sid, segments=2)
    assert (sent.sender, sent.to, sent.body) == (OURS, KIM, "x" * 161)
    await twilio.settled()
    assert {one.path for one in gateway.posted} == {f"/webhooks/twilio/status?mid={UUID(int=7)}"}


async def test_smart_encoding_is_asked_for_with_every_text(gateway: Listener, http: aiohttp.ClientSession) -> None:
    channel = TwilioSmsChannel(TwilioRest(http, gateway.url, SID, "token", gateway.url), "https://gw.example/base/")
    with pytest.raises(SendOutcomeUnknownError):  # whoever listens there is no Twilio
        await channel.send(LINE, OUTBOUND)
    assert gateway.posted[0].form == [
        ("To", KIM),
        ("From", OURS),
        ("Body", "Gern!"),
        ("StatusCallback", f"https://gw.example/base/webhooks/twilio/status?mid={UUID(int=7)}"),
        ("SmartEncoded", "true"),
    ]


async def test_segments_that_twilio_does_not_say_yet_are_not_known(
    twilio: FakeTwilio, channel: TwilioSmsChannel
) -> None:
    twilio.faults = TwilioFaults(segments_unsaid=True)
    assert (await channel.send(LINE, OUTBOUND)).segments is None


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (TwilioFaults(throttled=1), SendThrottledError),
        (TwilioFaults(refusal_codes=[63018]), SendThrottledError),
        (TwilioFaults(refusal_codes=[30001]), SendThrottledError),
        (TwilioFaults(refusal_codes=[21611]), SendThrottledError),
        (TwilioFaults(unwell=1), SendNotConnectedError),
        (TwilioFaults(unreadable=1), SendOutcomeUnknownError),
        (TwilioFaults(dropped_before_accept=1), SendOutcomeUnknownError),
        (TwilioFaults(dropped_after_accept=1), SendOutcomeUnknownError),
        (TwilioFaults(refusal_codes=[30004]), SendRefusedError),
        (TwilioFaults(refusal_codes=[30003]), SendRefusedError),
    ],
)
async def test_a_failed_send_is_sorted_by_what_may_be_done(
    twilio: FakeTwilio, channel: TwilioSmsChannel, faults: TwilioFaults, expected: type[Exception]
) -> None:
    twilio.faults = faults
    with pytest.raises(expected):
        await channel.send(LINE, OUTBOUND)


@pytest.mark.parametrize(
    ("code", "opted_out", "channel_down"),
    [(21610, True, False), (21211, False, False), (21606, False, True), (30002, False, True), (21617, False, False)],
)
async def test_a_refusal_says_who_is_at_fault(
    twilio: FakeTwilio, channel: TwilioSmsChannel, code: int, opted_out: bool, channel_down: bool
) -> None:
    twilio.faults = TwilioFaults(refusal_codes=[code])
    with pytest.raises(SendRefusedError) as refused:
        await channel.send(LINE, OUTBOUND)
    assert (refused.value.code, refused.value.opted_out) == (str(code), opted_out)
    assert (refused.value.channel_down, refused.value.window_closed) == (channel_down, False)


async def test_who_said_stop_is_written_to_no_more(twilio: FakeTwilio, channel: TwilioSmsChannel) -> None:
    await TwilioCustomer(twilio, business=OURS, number=KIM).write("STOP")
    with pytest.raises(SendRefusedError) as refused:
        await channel.send(LINE, OUTBOUND)
    assert refused.value.opted_out


async def test_a_wrong_token_or_none_at_all_means_that_the_channel_is_down(
    twilio: FakeTwilio, gateway: Listener, http: aiohttp.ClientSession
) -> None:
    for rest, code in (
        (TwilioRest(http, twilio.url, SID, "guessed", twilio.url), "20003"),
        (None, "no_twilio_account"),
    ):
        with pytest.raises(SendRefusedError) as refused:
            await TwilioSmsChannel(rest, gateway.url).send(LINE, OUTBOUND)
        assert (refused.value.code, refused.value.channel_down) == (code, True)


async def test_a_text_whose_answer_was_lost_is_found_again(twilio: FakeTwilio, channel: TwilioSmsChannel) -> None:
    since = twilio.now()
    twilio.faults = TwilioFaults(dropped_after_accept=1)
    with pytest.raises(SendOutcomeUnknownError):
        await channel.send(LINE, outbound("ü" * 161))
    found = await channel.find_sent(LINE, outbound("ü" * 161), since=since)
    assert found == Acknowledgement(provider_id=twilio.sent[0].sid, segments=2)


async def test_a_text_that_never_arrived_is_not_found_in_another_ones_place(
    twilio: FakeTwilio, channel: TwilioSmsChannel
) -> None:
    since = twilio.now()
    await TwilioCustomer(twilio, business=OURS, number=KIM).write("Gern!")  # the same words, the other way
    await channel.send(LINE, outbound("Gerne!"))
    twilio.faults = TwilioFaults(dropped_before_accept=1)
    with pytest.raises(SendOutcomeUnknownError):
        await channel.send(LINE, OUTBOUND)
    assert await channel.find_sent(LINE, OUTBOUND, since=since) is None
    await channel.send(LINE, OUTBOUND)
    assert await channel.find_sent(LINE, OUTBOUND, since=twilio.now() + timedelta(minutes=1)) is None  # an older one


async def test_of_several_equal_texts_the_first_since_then_is_the_one(
    twilio: FakeTwilio, channel: TwilioSmsChannel
) -> None:
    sids = []
    for _ in range(4):  # a minute apart each
        sids.append((await channel.send(LINE, OUTBOUND)).provider_id)
        twilio.clock_offset_s += 60
    second_at = twilio.messages[sids[1]].created_at
    found = await channel.find_sent(LINE, OUTBOUND, since=second_at + timedelta(seconds=0.9))
    assert found is not None
    assert found.provider_id == sids[1]
    found = await channel.find_sent(LINE, OUTBOUND, since=second_at + timedelta(seconds=10))
    assert found is not None
    assert found.provider_id == sids[2]
    found = await channel.find_sent(LINE, OUTBOUND, since=twilio.messages[sids[3]].created_at + timedelta(seconds=3))
    assert found is not None  # our clock is ahead of Twilio's
    assert found.provider_id == sids[3]


async def test_a_text_is_found_behind_many_others(twilio: FakeTwilio, channel: TwilioSmsChannel) -> None:
    since = twilio.now()
    wanted = await channel.send(LINE, OUTBOUND)
    for at in range(201):  # more than a page of them
        twilio.messages[f"SM{at}"] = type(twilio.sent[0])(
            **{
                **{name: getattr(twilio.sent[0], name) for name in twilio.sent[0].__slots__},
                "sid": f"SM{at}",
                "body": "x",
            }
        )
    found = await channel.find_sent(LINE, OUTBOUND, since=since)
    assert found is not None
    assert found.provider_id == wanted.provider_id


async def test_a_text_that_still_waits_at_twilio_is_found(twilio: FakeTwilio, channel: TwilioSmsChannel) -> None:
    since = twilio.now()
    await channel.send(LINE, OUTBOUND)
    twilio.sent[0].status, twilio.sent[0].sent_at = "queued", None
    assert await channel.find_sent(LINE, OUTBOUND, since=since) is not None


@pytest.mark.parametrize(("code", "expected"), [(30005, SendRefusedError), (30001, SendThrottledError)])
async def test_a_text_that_twilio_took_and_failed_to_send_is_no_success(
    twilio: FakeTwilio, channel: TwilioSmsChannel, code: int, expected: type[Exception]
) -> None:
    since = twilio.now()
    twilio.faults = TwilioFaults(failed_later_codes=[code])
    await channel.send(LINE, OUTBOUND)
    with pytest.raises(expected):
        await channel.find_sent(LINE, OUTBOUND, since=since)


async def test_a_file_is_fetched_with_the_password_and_its_store_without(
    twilio: FakeTwilio, gateway: Listener, channel: TwilioSmsChannel
) -> None:
    await TwilioCustomer(twilio, business=OURS, number=KIM).send_file(b"JPEG", "image/jpeg")
    media = MediaReference(kind="image", mime_type="image/jpeg", url=gateway.posted[0].fields["MediaUrl0"])
    fetched = await channel.fetch_media(LINE, media, max_bytes=4)
    assert (fetched.content, fetched.mime_type) == (b"JPEG", "image/jpeg")
    assert fetched.sha256 == hashlib.sha256(b"JPEG").digest()
    with pytest.raises(MediaError, match="too_large"):
        await channel.fetch_media(LINE, media, max_bytes=3)
    twilio.faults = TwilioFaults(media_missing=True)
    with pytest.raises(MediaError, match="expired"):
        await channel.fetch_media(LINE, media, max_bytes=4)


async def test_without_an_account_no_file_is_fetched(gateway: Listener) -> None:
    media = MediaReference(kind="image", mime_type="image/jpeg", url=f"{gateway.url}/file")
    with pytest.raises(MediaError, match="refused"):
        await TwilioSmsChannel(None, gateway.url).fetch_media(LINE, media, max_bytes=4)
    assert gateway.posted == []


async def test_neither_texts_nor_numbers_nor_the_token_are_logged_or_raised(
    twilio: FakeTwilio, channel: TwilioSmsChannel
) -> None:
    with capture_logs() as logs, pytest.raises(SendRefusedError) as refused:
        await channel.send(
            LINE, Outbound(message_id=UUID(int=7), to=Address(kind="phone", value="491700000101"), text="Geheim")
        )
    await channel.show_typing(LINE, provider_id="SM1")
    said = f"{logs} {refused.value} {refused.value.__cause__} {twilio.read_and_typing}"
    assert not any(secret in said for secret in ("1700000101", "Geheim", "twilio token"))
