"""WhatsApp by Twilio against the simulated one."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway.channels.base import Acknowledgement, Address, LineCredentials, MediaReference, Outbound, TextStyle
from gateway.channels.whatsapp.twilio_client import TwilioWhatsAppChannel
from gateway.errors import SendOutcomeUnknownError, SendRefusedError, SendThrottledError
from gateway.simulator.faults import TwilioFaults
from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_customer import TwilioCustomer
from gateway.twilio.rest import TwilioRest
from tests.gateway.simulator.listener import Listener, listening

SID = "AC" + "0" * 32
OURS, KIM = "+4915735990000", "+491700000101"
LINE = LineCredentials(line_id=UUID(int=1), number=OURS, provider_line_id=None, access_token=None)
OUTBOUND = Outbound(message_id=UUID(int=7), to=Address(kind="phone", value=KIM), text="*Gern!* 😊")


@pytest.fixture
async def gateway() -> AsyncIterator[Listener]:
    async with listening() as listener:
        yield listener


@pytest.fixture
async def twilio(gateway: Listener) -> AsyncIterator[FakeTwilio]:
    fake = FakeTwilio(account_sid=SID, auth_token="twilio token", public_url=gateway.url, whatsapp_senders=[OURS])
    async with fake.running():
        yield fake


@pytest.fixture
async def channel(twilio: FakeTwilio, gateway: Listener) -> AsyncIterator[TwilioWhatsAppChannel]:
    async with aiohttp.ClientSession() as session:
        yield TwilioWhatsAppChannel(TwilioRest(session, twilio.url, SID, "twilio token", twilio.url), gateway.url)


async def test_a_text_goes_between_whatsapp_addresses_and_is_reported_on_with_our_id(
    twilio: FakeTwilio, gateway: Listener, channel: TwilioWhatsAppChannel
) -> None:
    kim = TwilioCustomer(twilio, business=OURS, number=KIM, channel="whatsapp")
    await kim.write("Hallo")
    acknowledged = await channel.send(LINE, OUTBOUND)
    received = await kim.next_message()
    assert acknowledged == Acknowledgement(provider_id=received.sid)
    assert (received.sender, received.to, received.body) == (f"whatsapp:{OURS}", f"whatsapp:{KIM}", "*Gern!* 😊")
    await twilio.settled()
    reports = [one for one in gateway.posted if one.path == f"/webhooks/twilio/status?mid={UUID(int=7)}"]
    assert [one.fields["MessageStatus"] for one in reports] == ["queued", "sent", "delivered", "read"]


async def test_a_customer_without_a_number_is_written_to_by_id(
    twilio: FakeTwilio, channel: TwilioWhatsAppChannel
) -> None:
    kim = TwilioCustomer(twilio, business=OURS, number="", channel="whatsapp", user_id="DE.1001")
    await kim.write("Hallo")
    await channel.send(LINE, Outbound(message_id=UUID(int=7), to=Address(kind="bsuid", value="DE.1001"), text="Gern!"))
    assert await kim.next_text() == "Gern!"


async def test_a_closed_window_and_a_limit_are_named(twilio: FakeTwilio, channel: TwilioWhatsAppChannel) -> None:
    twilio.faults = TwilioFaults(refusal_codes=[63016, 63018])
    with pytest.raises(SendRefusedError) as refused:
        await channel.send(LINE, OUTBOUND)
    assert refused.value.window_closed
    with pytest.raises(SendThrottledError):
        await channel.send(LINE, OUTBOUND)


async def test_a_line_that_is_no_sender_is_down(twilio: FakeTwilio, channel: TwilioWhatsAppChannel) -> None:
    twilio.whatsapp_senders.clear()
    with pytest.raises(SendRefusedError) as refused:
        await channel.send(LINE, OUTBOUND)
    assert (refused.value.code, refused.value.channel_down) == ("63007", True)


async def test_a_text_whose_answer_was_lost_is_found_again(twilio: FakeTwilio, channel: TwilioWhatsAppChannel) -> None:
    await TwilioCustomer(twilio, business=OURS, number=KIM, channel="whatsapp").write("Hallo")
    since = twilio.now()
    assert await channel.find_sent(LINE, OUTBOUND, since=since) is None
    twilio.faults = TwilioFaults(dropped_after_accept=1)
    with pytest.raises(SendOutcomeUnknownError):
        await channel.send(LINE, OUTBOUND)
    assert await channel.find_sent(LINE, OUTBOUND, since=since) == Acknowledgement(provider_id=twilio.sent[0].sid)


async def test_a_text_that_came_too_late_for_the_window_is_no_success(
    twilio: FakeTwilio, channel: TwilioWhatsAppChannel
) -> None:
    since = twilio.now() - timedelta(seconds=1)
    await channel.send(LINE, OUTBOUND)  # nobody has ever written
    with pytest.raises(SendRefusedError) as refused:
        await channel.find_sent(LINE, OUTBOUND, since=since)
    assert refused.value.window_closed


async def test_typing_marks_the_customers_message_read_and_never_fails(
    twilio: FakeTwilio, channel: TwilioWhatsAppChannel
) -> None:
    sid = await TwilioCustomer(twilio, business=OURS, number=KIM, channel="whatsapp").write("Hallo")
    await channel.show_typing(LINE, provider_id=sid)
    assert twilio.read_and_typing == [sid]
    twilio.faults = TwilioFaults(typing_refused=True)
    with capture_logs() as logs:
        await channel.show_typing(LINE, provider_id=sid)
    assert [entry["event"] for entry in logs] == ["typing_not_shown"]


async def test_a_file_is_fetched(twilio: FakeTwilio, gateway: Listener, channel: TwilioWhatsAppChannel) -> None:
    kim = TwilioCustomer(twilio, business=OURS, number=KIM, channel="whatsapp")
    await kim.send_file(b"OggS", "audio/ogg")
    media = MediaReference(kind="voice_note", mime_type="audio/ogg", url=gateway.posted[0].fields["MediaUrl0"])
    assert (await channel.fetch_media(LINE, media, max_bytes=100)).content == b"OggS"


async def test_without_an_account_the_channel_is_down(gateway: Listener) -> None:
    channel = TwilioWhatsAppChannel(None, gateway.url)
    await channel.show_typing(LINE, provider_id="SM1")
    with pytest.raises(SendRefusedError) as refused:
        await channel.send(LINE, OUTBOUND)
    assert (refused.value.code, refused.value.channel_down) == ("no_twilio_account", True)


def test_an_answer_is_split_where_twilio_would_refuse_it(gateway: Listener) -> None:
    parts = TwilioWhatsAppChannel(None, gateway.url).compose("**Satz.** " * 300, TextStyle())
    assert len(parts) == 2
    assert all(len(part) <= 1_600 for part in parts)
    assert parts[0].startswith("*Satz.*")
