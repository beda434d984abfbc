"""Control of running calls over a real socket: what is asked of Twilio, and what its refusals mean."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.twilio import calls
from gateway.twilio.rest import Accepted, Answer, NotConnected, OutcomeUnknown, Refused, Throttled, TwilioRest

ACCOUNT = "AC1"


@dataclass
class Twilio:
    """Takes everything down; answers as the test says."""

    rest: TwilioRest
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    status: int = 201
    body: dict[str, object] = field(default_factory=lambda: {"sid": "RE1"})


@pytest.fixture
async def twilio() -> AsyncIterator[Twilio]:
    async def handle(request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        made.asked.append((request.method, request.path.removeprefix(f"/2010-04-01/Accounts/{ACCOUNT}/"), form))
        return web.Response(status=204) if made.status == 204 else web.json_response(made.body, status=made.status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        url = str(server.make_url("/")).rstrip("/")
        made = Twilio(TwilioRest(http, url, ACCOUNT, "token", url))
        yield made


async def test_a_call_is_ended_sent_elsewhere_and_limited(twilio: Twilio) -> None:
    answers = [
        await calls.hang_up(twilio.rest, "CA1"),
        await calls.redirect(twilio.rest, "CA1", "<Response/>"),
        await calls.limit(twilio.rest, "CA1", 630),
    ]
    assert twilio.asked == [
        ("POST", "Calls/CA1.json", {"Status": "completed"}),
        ("POST", "Calls/CA1.json", {"Twiml": "<Response/>"}),
        ("POST", "Calls/CA1.json", {"TimeLimit": "630"}),
    ]
    assert all(calls.is_done(answer) for answer in answers)


async def test_a_recording_is_begun_on_two_tracks_ended_and_deleted(twilio: Twilio) -> None:
    begun = await calls.start_recording(twilio.rest, "CA1", "https://gateway.example.com/recorded?tenant=1")
    assert calls.sid_of(begun) == "RE1"
    await calls.stop_recording(twilio.rest, "CA1", "RE1")
    twilio.status = 204
    assert calls.is_done(await calls.delete_recording(twilio.rest, "RE1"))
    (_, begin, form), (_, end, ended), (method, deleted, _) = twilio.asked
    assert begin == "Calls/CA1/Recordings.json"
    assert form == {
        "RecordingChannels": "dual",
        "RecordingStatusCallback": "https://gateway.example.com/recorded?tenant=1",
        "RecordingStatusCallbackEvent": "completed absent",
        "RecordingStatusCallbackMethod": "POST",
    }
    assert (end, ended) == ("Calls/CA1/Recordings/RE1.json", {"Status": "stopped"})
    assert (method, deleted) == ("DELETE", "Recordings/RE1.json")


@pytest.mark.parametrize(
    ("body", "ended", "lasted_s"),
    [
        ({"status": "in-progress", "duration": None}, None, None),
        ({"status": "completed", "duration": "61"}, "completed", 61),
        ({"status": "no-answer", "duration": "0"}, "no-answer", 0),
        ({"status": "busy", "duration": ""}, "busy", None),
        ({"sid": "CA1"}, None, None),
    ],
)
async def test_a_call_that_is_asked_about_goes_on_or_has_ended(
    twilio: Twilio, body: dict[str, object], ended: str | None, lasted_s: int | None
) -> None:
    twilio.status, twilio.body = 200, body
    shown = await calls.show(twilio.rest, "CA1")
    assert twilio.asked == [("GET", "Calls/CA1.json", {})]
    assert (calls.ended_as(shown), calls.lasted_s(shown)) == (ended, lasted_s)


@pytest.mark.parametrize(("status", "ended"), [(404, "completed"), (401, None), (500, None)])
async def test_a_call_that_twilio_does_not_know_any_more_has_ended_and_other_failures_say_nothing(
    twilio: Twilio, status: int, ended: str | None
) -> None:
    twilio.status, twilio.body = status, {}
    assert calls.ended_as(await calls.show(twilio.rest, "CA1")) == ended


@pytest.mark.parametrize(("status", "code"), [(404, 20404), (400, 21220), (404, None)])
async def test_ending_a_call_that_is_over_is_done(twilio: Twilio, status: int, code: int | None) -> None:
    twilio.status, twilio.body = status, {} if code is None else {"code": code, "message": "gone"}
    answer = await calls.hang_up(twilio.rest, "CA1")
    assert calls.is_over(answer)
    assert calls.is_done(answer)


@pytest.mark.parametrize(
    "answer",
    [
        Refused(20003, 401, "Authenticate"),
        Refused(None, 403, ""),
        Throttled(20429, None),
        NotConnected("ClientConnectorError"),
        OutcomeUnknown("TimeoutError"),
    ],
)
def test_no_other_failure_means_that_it_is_done(answer: Answer) -> None:
    assert not calls.is_done(answer)
    assert calls.sid_of(answer) is None


@pytest.mark.parametrize("body", [{}, {"sid": ""}, {"sid": 5}])
def test_what_has_no_name_has_none(body: dict[str, object]) -> None:
    assert calls.sid_of(Accepted(body)) is None
