"""Files of customers: read from Twilio and its stores, and from nowhere else."""

from collections.abc import AsyncIterator
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from gateway.db import Database
from gateway.errors import MediaError
from gateway.twilio.media import fetch_file, is_store, is_twilio
from gateway.twilio.rest import TwilioRest

API = URL("https://api.twilio.com")
MOVED = {"/moved": "/file", "/inside": "http://127.0.0.1:1/secret", "/nowhere": "", "/round": "/round"}


@pytest.mark.parametrize(
    ("address", "with_password", "sent_on"),
    [
        ("https://api.twilio.com/2010-04-01/x", True, True),
        ("https://mcs.us1.twilio.com/x", True, True),
        ("https://media.twiliocdn.com/x", False, True),
        ("https://mms.twiliocdn.com/x", False, True),
        ("https://s3-external-1.amazonaws.com/media.twiliocdn.com/x", False, True),
        ("https://media.twiliocdn.com.s3-external-1.amazonaws.com/x", False, True),
        ("https://bucket.s3.eu-west-1.amazonaws.com/x", False, True),
        ("http://api.twilio.com/x", False, False),
        ("https://api.twilio.com:8443/x", False, False),
        ("https://twilio.com.evil.example/x", False, False),
        ("https://eviltwilio.com/x", False, False),
        ("https://eviltwiliocdn.com/x", False, False),
        ("https://ec2-10-0-0-1.compute-1.amazonaws.com/x", False, False),
        ("https://127.0.0.1/x", False, False),
        ("https://169.254.169.254/latest/meta-data", False, False),
        ("https://localhost/x", False, False),
        ("file:///etc/passwd", False, False),
        ("/etc/passwd", False, False),
        ("https://user:pass@api.twilio.com/x", False, False),
        ("https://user:pass@10.0.0.1\\@api.twilio.com/x", False, False),
    ],
)
def test_the_password_goes_to_twilio_alone_and_nothing_is_read_elsewhere(
    address: str, with_password: bool, sent_on: bool
) -> None:
    try:
        url = URL(address)
    except ValueError:
        assert not sent_on
        return
    assert (is_twilio(url, API), is_store(url, API)) == (with_password, sent_on)


class Shelf:
    """A server that answers by path, and keeps the passwords it was shown."""

    def __init__(self) -> None:
        self.url = ""
        self.shown: list[tuple[str, str | None]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.shown.append((request.path, request.headers.get("Authorization")))
        if request.path in MOVED:
            return web.Response(status=302, headers={"Location": MOVED[request.path]})
        match request.path:
            case "/file":
                return web.Response(body=b"JPEG", content_type="image/jpeg")
            case "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                for _ in range(10):
                    await response.write(b"x" * 100)
                return response
            case _:
                return web.Response(status=404)


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    shelf = Shelf()
    app = web.Application()
    app.router.add_get("/{path:.*}", shelf.handle)
    async with TestServer(app) as server:
        shelf.url = str(server.make_url("/")).rstrip("/")
        yield shelf


@pytest.fixture
async def rest(shelf: Shelf) -> AsyncIterator[TwilioRest]:
    async with aiohttp.ClientSession() as http:
        yield TwilioRest(http, shelf.url, "AC1", "token", shelf.url)


async def test_the_password_is_shown_once_and_not_where_we_are_sent_on_to(shelf: Shelf, rest: TwilioRest) -> None:
    file = await fetch_file(rest, f"{shelf.url}/moved", max_bytes=4)
    assert (file.content, file.mime_type) == (b"JPEG", "image/jpeg")
    assert shelf.shown == [("/moved", aiohttp.encode_basic_auth("AC1", "token")), ("/file", None)]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "expired"),
        ("/inside", "refused"),
        ("/nowhere", "refused"),
        ("/round", "refused"),
        ("/endless", "too_large"),
    ],
)
async def test_what_cannot_be_had_says_why(shelf: Shelf, rest: TwilioRest, path: str, reason: str) -> None:
    with pytest.raises(MediaError) as failed:
        await fetch_file(rest, f"{shelf.url}{path}", max_bytes=500)
    assert failed.value.reason == reason


@pytest.mark.parametrize("address", [None, "", "http://127.0.0.1:1/x", "https://elsewhere.example/x", "http://[bad"])
async def test_no_other_address_is_asked(shelf: Shelf, rest: TwilioRest, address: str | None) -> None:
    with pytest.raises(MediaError) as failed:
        await fetch_file(rest, address, max_bytes=500)
    assert failed.value.reason == "refused"
    assert shelf.shown == []


async def test_nothing_is_fetched_inside_a_transaction(shelf: Shelf, rest: TwilioRest, db: Database) -> None:
    async with db.transaction(UUID(int=1)):
        with pytest.raises(AssertionError):
            await fetch_file(rest, f"{shelf.url}/file", max_bytes=500)
    assert shelf.shown == []
