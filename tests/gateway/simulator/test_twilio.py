"""The simulated Twilio: what it refuses, what it tells, and in which words."""

import asyncio
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from gateway.simulator.faults import TwilioFaults
from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_customer import TwilioCustomer
from gateway.simulator.twilio_wire import sms_segments
from gateway.twilio.rest import Accepted, NotConnected, OutcomeUnknown, Refused, Throttled, TwilioRest
from gateway.twilio.signature import is_signed
from tests.gateway.simulator.listener import Listener, Posted, listening

SID = "AC" + "0" * 32
TOKEN = "twilio token"
PUBLIC = "https://gw.example"
OURS = "+4915735990000"
KIM = "+491700000101"
CALLBACK = f"{PUBLIC}/webhooks/twilio/status?mid=1"


@pytest.fixture
async def gateway() -> AsyncIterator[Listener]:
    async with listening() as listener:
        yield listener


@pytest.fixture
async def twilio(gateway: Listener) -> AsyncIterator[FakeTwilio]:
    fake = FakeTwilio(
        account_sid=SID,
        auth_token=TOKEN,
        public_url=PUBLIC,
        gateway_url=gateway.url,
        numbers=[OURS],
        whatsapp_senders=[OURS],
    )
    async with fake.running():
        yield fake


@pytest.fixture
async def rest(twilio: FakeTwilio) -> AsyncIterator[TwilioRest]:
    async with aiohttp.ClientSession() as http:
        yield TwilioRest(http, twilio.url, SID, TOKEN, twilio.url)


def form(**changes: str) -> list[tuple[str, str]]:
    fields = {"To": KIM, "From": OURS, "Body": "Gern!", "StatusCallback": CALLBACK, **changes}
    return [(name, value) for name, value in fields.items() if value]


async def sent(rest: TwilioRest, **changes: str) -> Accepted:
    answer = await rest.post("Messages.json", form(**changes))
    assert isinstance(answer, Accepted), answer
    return answer


def signed(posted: Posted, *, keys: dict[str, str] | None = None) -> bool:
    return is_signed(
        url=PUBLIC + posted.path,
        form=posted.form,
        body=posted.body,
        header=posted.headers["X-Twilio-Signature"],
        settings_header=posted.headers.get("X-Twilio-Webhooks-Signature-Settings"),
        auth_token=TOKEN,
        shared_keys=keys or {},
    )


async def test_a_text_is_taken_and_reported_on_in_signed_callbacks(
    twilio: FakeTwilio, gateway: Listener, rest: TwilioRest
) -> None:
    body = (await sent(rest)).body
    assert (body["status"], body["num_segments"], body["from"], body["to"]) == ("queued", "1", OURS, KIM)
    assert parsedate_to_datetime(str(body["date_created"])) <= twilio.now()
    await twilio.settled()
    assert [one.fields["MessageStatus"] for one in gateway.posted] == ["queued", "sent", "delivered"]
    for one in gateway.posted:
        assert one.path == "/webhooks/twilio/status?mid=1"
        assert one.fields["MessageSid"] == body["sid"]
        assert signed(one)
    shown = await rest.get(f"Messages/{body['sid']}.json")
    assert isinstance(shown, Accepted)
    assert shown.body["status"] == "delivered"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"To": ""}, 21604),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1_601}, 21617),
        ({"To": "Kim"}, 21211),
        ({"From": "+4915735990001"}, 21659),
        ({"To": f"whatsapp:{KIM}"}, 21910),
        ({"To": f"whatsapp:{KIM}", "From": "whatsapp:+4915735990001"}, 63007),
    ],
)
async def test_what_twilio_does_not_take_is_refused_with_its_code(
    rest: TwilioRest, changes: dict[str, str], code: int
) -> None:
    answer = await rest.post("Messages.json", form(**changes))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.status) == (code, 400)


async def test_a_landline_sends_no_sms(twilio: FakeTwilio, rest: TwilioRest) -> None:
    twilio.numbers.add("+493090182000", "local")
    answer = await rest.post("Messages.json", form(From="+493090182000"))
    assert isinstance(answer, Refused)
    assert answer.code == 21606


async def test_a_wrong_password_is_refused(twilio: FakeTwilio) -> None:
    async with aiohttp.ClientSession() as http:
        answer = await TwilioRest(http, twilio.url, SID, "guessed", twilio.url).get("Messages.json")
    assert isinstance(answer, Refused)
    assert (answer.code, answer.status) == (20003, 401)


async def test_a_customers_text_is_posted_signed_with_its_segments(twilio: FakeTwilio, gateway: Listener) -> None:
    kim = TwilioCustomer(twilio, business=OURS, number=KIM)
    sid = await kim.write("Grüße 😊 " + "x" * 100)
    assert kim.status == 200
    [posted] = gateway.posted
    assert posted.path == "/webhooks/twilio/messages"
    assert posted.fields["MessageSid"] == sid
    assert (posted.fields["From"], posted.fields["To"], posted.fields["NumSegments"]) == (KIM, OURS, "2")
    assert posted.fields["Body"].startswith("Grüße 😊")
    assert signed(posted)


async def test_a_shared_key_signs_instead_of_the_token(twilio: FakeTwilio, gateway: Listener) -> None:
    twilio.postman.shared_key = ("webhooks_sharedkey_1", "secret of the key")
    await TwilioCustomer(twilio, business=OURS, number=KIM).write("Hallo")
    assert signed(gateway.posted[0], keys={"webhooks_sharedkey_1": "secret of the key"})
    assert not signed(gateway.posted[0], keys={"webhooks_sharedkey_1": "another"})


async def test_whatsapp_says_who_writes(twilio: FakeTwilio, gateway: Listener) -> None:
    kim = TwilioCustomer(twilio, business=OURS, number=KIM, channel="whatsapp", name="Kim", user_id="DE.1001")
    await kim.press("yes", "Ja, gern")
    fields = gateway.posted[0].fields
    assert (fields["From"], fields["To"]) == (f"whatsapp:{KIM}", f"whatsapp:{OURS}")
    assert (fields["ProfileName"], fields["WaId"], fields["ExternalUserId"]) == ("Kim", KIM[1:], "whatsapp:DE.1001")
    assert (fields["MessageType"], fields["ButtonPayload"], fields["ButtonText"]) == ("button", "yes", "Ja, gern")
    unnumbered = TwilioCustomer(twilio, business=OURS, number="", channel="whatsapp", user_id="DE.1002")
    await unnumbered.write("Hallo")
    assert gateway.posted[1].fields["From"] == "whatsapp:DE.1002"
    assert "WaId" not in gateway.posted[1].fields


async def test_who_said_stop_gets_nothing_from_that_number_until_start(
    twilio: FakeTwilio, gateway: Listener, rest: TwilioRest
) -> None:
    other = twilio.numbers.add("+4915735990001", "mobile").number
    kim = TwilioCustomer(twilio, business=OURS, number=KIM)
    await kim.write(" Stop ")
    answer = await rest.post("Messages.json", form())
    assert isinstance(answer, Refused)
    assert answer.code == 21610
    assert [number for number, _ in twilio.own_replies] == [KIM]
    assert [one.fields["Body"] for one in gateway.posted] == [" Stop "]
    assert "OptOutType" not in gateway.posted[0].fields
    await sent(rest, From=other)  # another number of the same business
    twilio.advanced_opt_out = True
    await kim.write("START")
    assert "START" in [one.fields.get("OptOutType") for one in gateway.posted]
    await sent(rest)


async def test_a_sentence_with_stop_in_it_is_no_keyword(twilio: FakeTwilio, rest: TwilioRest) -> None:
    await TwilioCustomer(twilio, business=OURS, number=KIM).write("STOP PLEASE")
    await TwilioCustomer(twilio, business=OURS, number=KIM, channel="whatsapp").write("STOP")
    await sent(rest)


async def test_free_text_on_whatsapp_needs_an_open_window(
    twilio: FakeTwilio, gateway: Listener, rest: TwilioRest
) -> None:
    addresses = {"To": f"whatsapp:{KIM}", "From": f"whatsapp:{OURS}"}
    await sent(rest, **addresses)
    await twilio.settled()
    assert gateway.posted[-1].fields["ErrorCode"] == "63016"
    await TwilioCustomer(twilio, business=OURS, number=KIM, channel="whatsapp").write("Hallo")
    await sent(rest, **addresses)
    await twilio.settled()
    assert gateway.posted[-1].fields["MessageStatus"] == "read"
    twilio.clock_offset_s += 24 * 3_600
    await sent(rest, **addresses)
    await twilio.settled()
    assert gateway.posted[-1].fields["MessageStatus"] == "failed"


async def test_each_fault_at_sending_shows_as_what_it_is(twilio: FakeTwilio, rest: TwilioRest) -> None:
    faults = {
        "throttled": Throttled,
        "unwell": NotConnected,
        "unreadable": OutcomeUnknown,
        "dropped_before_accept": OutcomeUnknown,
        "dropped_after_accept": OutcomeUnknown,
    }
    for fault, expected in faults.items():
        twilio.faults = TwilioFaults(**{fault: 1})  # type: ignore[arg-type]  # every one of them is a count
        assert isinstance(await rest.post("Messages.json", form()), expected), fault
    assert len(twilio.sent) == 1  # the one whose answer was lost
    await sent(rest)
    twilio.faults.refusal_codes = [30004]
    answer = await rest.post("Messages.json", form())
    assert isinstance(answer, Refused)
    assert answer.code == 30004


async def test_failures_come_later_in_callbacks(twilio: FakeTwilio, gateway: Listener, rest: TwilioRest) -> None:
    twilio.faults = TwilioFaults(failed_later_codes=[30005], undelivered_later_codes=[30003])
    await sent(rest)
    await sent(rest)
    await twilio.settled()
    ends = {(one.fields["MessageStatus"], one.fields.get("ErrorCode")) for one in gateway.posted}
    assert {("failed", "30005"), ("undelivered", "30003")} <= ends


async def test_callbacks_are_withheld_lost_doubled_and_shuffled(
    twilio: FakeTwilio, gateway: Listener, rest: TwilioRest
) -> None:
    twilio.faults = TwilioFaults(callbacks_withheld=True)
    await sent(rest)
    await twilio.settled()
    assert gateway.posted == []
    await twilio.callbacks.release()
    assert len(gateway.posted) == 3
    twilio.faults = TwilioFaults(callbacks_lost=True)
    await sent(rest)
    await twilio.settled()
    assert len(gateway.posted) == 3
    twilio.faults = TwilioFaults(copies=2, callbacks_shuffled=True)
    await sent(rest)
    await twilio.settled()
    assert sorted(one.fields["MessageStatus"] for one in gateway.posted[3:]) == sorted(
        ["queued", "sent", "delivered"] * 2
    )


async def test_segments_may_be_fewer_or_unsaid_at_first(twilio: FakeTwilio, rest: TwilioRest) -> None:
    twilio.faults = TwilioFaults(segments_fewer=1)
    assert (await sent(rest, Body="x" * 400)).body["num_segments"] == "2"
    assert (await sent(rest)).body["num_segments"] == "1"
    twilio.faults = TwilioFaults(segments_unsaid=True)
    body = (await sent(rest)).body
    assert body["num_segments"] == "0"
    shown = await rest.get(f"Messages/{body['sid']}.json")
    assert isinstance(shown, Accepted)
    assert shown.body["num_segments"] == "1"


async def test_messages_are_listed_by_pair_newest_first_page_by_page(rest: TwilioRest) -> None:
    for text in ("eins", "zwei", "drei"):
        await sent(rest, Body=text)
    await sent(rest, To="+491700000102", Body="vier")
    page = await rest.get("Messages.json", [("To", KIM), ("From", OURS), ("PageSize", "2")])
    assert isinstance(page, Accepted)
    assert [one["body"] for one in page.body["messages"]] == ["drei", "zwei"]  # type: ignore[attr-defined]  # JSON
    rest_of_it = await rest.get_page(str(page.body["next_page_uri"]))
    assert isinstance(rest_of_it, Accepted)
    assert [one["body"] for one in rest_of_it.body["messages"]] == ["eins"]  # type: ignore[attr-defined]  # JSON
    assert rest_of_it.body["next_page_uri"] is None
    nothing = await rest.get("Messages.json", [("DateSent>", "2999-01-01")])
    assert isinstance(nothing, Accepted)
    assert nothing.body["messages"] == []


async def test_a_webhook_is_repeated_as_its_address_asks_and_then_lost(twilio: FakeTwilio, gateway: Listener) -> None:
    kim = TwilioCustomer(twilio, business=OURS, number=KIM)
    gateway.statuses = [503, 500]
    await kim.write("Hallo")  # the address says rc=3 and rp=all
    assert (kim.status, len(gateway.posted)) == (200, 3)
    tokens = {one.headers["I-Twilio-Idempotency-Token"] for one in gateway.posted}
    assert len(tokens) == 1
    [number] = twilio.numbers
    number.sms_url = f"{PUBLIC}/webhooks/twilio/messages"  # nothing but one repetition, if no connection comes about
    gateway.statuses = [503]
    await kim.write("Hallo?")
    assert (kim.status, len(twilio.postman.lost)) == (503, 1)
    number.sms_fallback_url = f"{PUBLIC}/fallback"
    gateway.statuses = [503]
    await kim.write("Hallo??")
    assert gateway.posted[-1].path == "/fallback"


async def test_a_fallback_queue_gives_nothing_up(twilio: FakeTwilio, gateway: Listener) -> None:
    twilio.fallback_queue = True
    gateway.statuses = [503] * 6
    kim = TwilioCustomer(twilio, business=OURS, number=KIM)
    await asyncio.wait_for(kim.write("Hallo"), 30)
    assert (kim.status, twilio.postman.lost) == (200, [])


async def test_files_are_behind_the_password_and_then_elsewhere(twilio: FakeTwilio, gateway: Listener) -> None:
    await TwilioCustomer(twilio, business=OURS, number=KIM).send_file(b"JPEG", "image/jpeg", caption="So?")
    fields = gateway.posted[0].fields
    assert (fields["NumMedia"], fields["MediaContentType0"], fields["Body"]) == ("1", "image/jpeg", "So?")
    password = {"Authorization": aiohttp.encode_basic_auth(SID, TOKEN)}
    async with aiohttp.ClientSession() as http:
        async with http.get(fields["MediaUrl0"]) as unknown:
            assert unknown.status == 401
        async with http.get(fields["MediaUrl0"], headers=password, allow_redirects=False) as moved:
            assert moved.status == 307
        async with http.get(moved.headers["Location"], headers=password) as shown:
            assert shown.status == 400
        async with http.get(moved.headers["Location"]) as found:
            assert await found.read() == b"JPEG"


async def test_typing_is_shown_for_a_message_that_came_in(twilio: FakeTwilio, rest: TwilioRest) -> None:
    kim = TwilioCustomer(twilio, business=OURS, number=KIM, channel="whatsapp")
    sid = await kim.write("Hallo")
    path = "v2/Indicators/Typing.json"
    shown = await rest.post_messaging(path, [("messageId", sid), ("channel", "whatsapp")])
    assert shown == Accepted({"success": True})
    assert twilio.read_and_typing == [sid]
    assert isinstance(await rest.post_messaging(path, [("messageId", "SM1"), ("channel", "whatsapp")]), Refused)


async def test_a_customer_reads_each_answer_once(twilio: FakeTwilio, rest: TwilioRest) -> None:
    kim = TwilioCustomer(twilio, business=OURS, number=KIM)
    await sent(rest, Body="eins")
    await sent(rest, To="+491700000102", Body="nicht für Kim")
    await sent(rest, Body="z" * 161)
    assert await kim.next_text() == "eins"
    assert (await kim.next_message()).segments == 2
    with pytest.raises(TimeoutError):
        await kim.next_text(timeout_s=0.05)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("]" * 153, 3),  # as measured at Twilio: an extension character is not split
        ("ü" * 160, 1),
        ("ç" * 70, 1),
        ("ç" * 71, 2),
        ("😊" * 35, 1),
        ("😊" * 36, 2),
        ("😊" * 66, 2),
        ("😊" * 67, 3),  # 33 whole ones in each
        ("x" * 1_600, 11),
        ("ж" * 1_600, 24),
    ],
)
def test_segments_are_counted_as_networks_do(text: str, segments: int) -> None:
    assert sms_segments(text) == segments
