"""The simulated shop for numbers: searched, bought, set up, given back."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.simulator.faults import TwilioFaults
from gateway.simulator.twilio import FakeTwilio
from gateway.twilio.rest import Accepted, OutcomeUnknown, Refused, TwilioRest

SID = "AC" + "0" * 32
OWNED = "IncomingPhoneNumbers.json"


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    fake = FakeTwilio(account_sid=SID, auth_token="twilio token", public_url="https://gw.example")
    async with fake.running():
        yield fake


@pytest.fixture
async def rest(twilio: FakeTwilio) -> AsyncIterator[TwilioRest]:
    async with aiohttp.ClientSession() as http:
        yield TwilioRest(http, twilio.url, SID, "twilio token", twilio.url)


async def offered(rest: TwilioRest, kind: str = "Mobile") -> str:
    answer = await rest.get(f"AvailablePhoneNumbers/DE/{kind}.json", [("PageSize", "3")])
    assert isinstance(answer, Accepted)
    offers = answer.body["available_phone_numbers"]
    assert isinstance(offers, list)
    assert len(offers) == 3
    assert offers[0]["capabilities"]["sms"] is (kind == "Mobile")
    return str(offers[0]["phone_number"])


async def owned(rest: TwilioRest, name: str) -> list[dict[str, object]]:
    answer = await rest.get(OWNED, [("FriendlyName", name)])
    assert isinstance(answer, Accepted)
    found = answer.body["incoming_phone_numbers"]
    assert isinstance(found, list)
    return found


async def test_a_number_is_bought_set_up_and_given_back(twilio: FakeTwilio, rest: TwilioRest) -> None:
    number = await offered(rest)
    bought = await rest.post(OWNED, [("PhoneNumber", number), ("FriendlyName", "order 1")])
    assert isinstance(bought, Accepted)
    path = f"IncomingPhoneNumbers/{bought.body['sid']}.json"
    changed = await rest.post(path, [("SmsUrl", "https://gw.example/sms"), ("SmsFallbackUrl", "https://other/sms")])
    assert isinstance(changed, Accepted)
    assert (changed.body["sms_url"], changed.body["friendly_name"]) == ("https://gw.example/sms", "order 1")
    assert [one["phone_number"] for one in await owned(rest, "order 1")] == [number]
    assert await offered(rest) != number
    assert await rest.delete(path) == Accepted({})
    assert list(twilio.numbers) == []
    assert isinstance(await rest.delete(path), Refused)
    assert isinstance(await rest.get(path), Refused)


async def test_a_landline_is_found_under_local(twilio: FakeTwilio, rest: TwilioRest) -> None:
    await rest.post(OWNED, [("PhoneNumber", await offered(rest, "Local"))])
    assert [number.kind for number in twilio.numbers] == ["local"]
    assert isinstance(await rest.get("AvailablePhoneNumbers/AQ/Local.json"), Refused)


async def test_a_purchase_whose_answer_was_lost_is_found_by_its_name(twilio: FakeTwilio, rest: TwilioRest) -> None:
    twilio.faults = TwilioFaults(purchases_dropped=1)
    order = [("PhoneNumber", await offered(rest)), ("FriendlyName", "order 2")]
    assert isinstance(await rest.post(OWNED, order), OutcomeUnknown)
    assert len(await owned(rest, "order 2")) == 1
    assert await owned(rest, "order 3") == []


async def test_a_number_may_be_gone_and_a_purchase_refused(twilio: FakeTwilio, rest: TwilioRest) -> None:
    order = [("PhoneNumber", await offered(rest))]
    for faults, code in ((TwilioFaults(numbers_gone=1), 21422), (TwilioFaults(purchase_codes=[21649]), 21649)):
        twilio.faults = faults
        answer = await rest.post(OWNED, order)
        assert isinstance(answer, Refused)
        assert answer.code == code
    assert isinstance(await rest.post(OWNED, order), Accepted)
    gone = await rest.post(OWNED, order)  # to us
    assert isinstance(gone, Refused)
    assert gone.code == 21422
