import asyncio
import threading
from collections.abc import Iterator

import pytest

from gateway.simulator.twilio import FakeTwilio
from tests.gateway.cli.installation import Installation

SID = "AC" + "0" * 32
AGENT = '[[agent]]\nname = "Rezeption"\ninstructions = "Hilf."\n'


@pytest.fixture(scope="module")
def twilio() -> Iterator[dict[str, str]]:
    """Settings that lead to a Twilio that runs beside the commands, on a loop of its own."""
    fake = FakeTwilio(account_sid=SID, auth_token="token", public_url="http://localhost:8080")
    loop, up = asyncio.new_event_loop(), threading.Event()
    stop: list[asyncio.Event] = []

    async def serve() -> None:
        async with fake.running():
            stop.append(asyncio.Event())
            up.set()
            await stop[0].wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert up.wait(10)
    yield {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": "token", "TWILIO_API_URL": fake.url}
    loop.call_soon_threadsafe(stop[0].set)
    thread.join()
    loop.close()


def test_a_number_is_searched_ordered_listed_and_released(installation: Installation, twilio: dict[str, str]) -> None:
    installation.succeed("tenant", "create", "Salon")
    installation.succeed("apply", "Salon", "-", stdin=AGENT)
    offers = installation.succeed("number", "search", "--country", "DE", "--kind", "mobile", "--json", **twilio).json[
        "items"
    ]
    order: tuple[str, ...] = ("number", "order", "Salon", "--country", "DE", "--kind", "mobile", "--agent", "Rezeption")
    order += ("--channels", "sms,voice", "--number", offers[3]["number"])
    unpaid = installation.run(*order, **twilio)
    assert (unpaid.code, "cannot pay" in unpaid.err) == (1, True)
    installation.succeed("credits", "grant", "Salon", "60000", "--reason", "Aufladung")
    assert f"{offers[3]['number']} is a line of Salon" in installation.succeed(*order, **twilio).out
    (line,) = installation.succeed("number", "list", "Salon", "--json").json["items"]
    assert (line["number"], line["state"], line["channels"]) == (offers[3]["number"], "active", ["sms", "voice"])
    assert installation.balance_millicredits("Salon") == 0
    assert "released" in installation.succeed("number", "release", "Salon", offers[3]["number"], **twilio).out
    assert "is no line" in installation.refuse("number", "release", "Salon", offers[3]["number"], **twilio)
    assert "released" in installation.succeed("number", "list", "Salon").out


def test_another_kind_is_told_what_to_order(installation: Installation, twilio: dict[str, str]) -> None:
    said = installation.refuse("number", "search", "--country", "DE", "--kind", "toll_free", **twilio)
    assert "order a local number (voice, WhatsApp) or a mobile number (voice, WhatsApp, SMS)" in said


def test_without_an_account_at_twilio_it_is_said_what_is_missing(installation: Installation) -> None:
    done = installation.run("number", "search", "--country", "DE", "--kind", "local")
    assert (done.code, "TWILIO_ACCOUNT_SID" in done.err) == (1, True)
