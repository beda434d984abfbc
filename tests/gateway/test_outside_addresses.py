"""A webhook never becomes a way into the operator's own network."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.outside_addresses import AddressNotPublicError, is_public, public_connector, url_problem


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - an address like any other
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "not an address",
    ],
)
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["9.9.9.9", "2606:4700::1111", "::ffff:9.9.9.9", "64:ff9b::909:909"])
def test_addresses_of_the_internet_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/hook",
        "https://",
        "https:///hook",
        "https://user:secret@example.com/",
        "https://example.com/#part",
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://[fd00::1]:8443/hook",
        "https://169.254.169.254/latest",
        "https://localhost/hook",
        "https://db.internal/",
        "https://LOCALHOST./",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://[nonsense/",
        "https://exa mple.com/",
        "https://example.com/ü",
        "https://example.com/" + "x" * 2_000,
        "",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    assert url_problem(url, may_stay_inside=False) is not None


@pytest.mark.parametrize(
    "url", ["https://example.com", "https://example.com:8443/hooks/turnmeter?key=1", "https://9.9.9.9/hook"]
)
def test_urls_that_are_taken(url: str) -> None:
    assert url_problem(url, may_stay_inside=False) is None


def test_for_tests_and_the_demo_a_url_may_lead_to_this_machine() -> None:
    assert url_problem("http://127.0.0.1:8099/hook", may_stay_inside=True) is None


async def answering(asked: list[str]) -> TestServer:
    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", answer)
    server = TestServer(app)
    await server.start_server()
    return server


# However this machine is written: names to a URL's reader, addresses to the system.
@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001"])
async def test_a_name_that_leads_inside_is_not_connected_to(host: str) -> None:
    asked: list[str] = []
    server = await answering(asked)
    async with server, aiohttp.ClientSession(connector=public_connector(may_stay_inside=False)) as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://{host}:{server.port}/")
    assert asked == []


async def test_what_is_looked_up_is_what_is_checked() -> None:
    async with aiohttp.ClientSession(connector=public_connector(may_stay_inside=False)) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as raised:
            await session.get("https://localhost:9/")
    assert isinstance(raised.value.os_error, AddressNotPublicError)


async def test_where_it_may_this_machine_is_reached_by_its_name() -> None:
    asked: list[str] = []
    server = await answering(asked)
    async with server, aiohttp.ClientSession(connector=public_connector(may_stay_inside=True)) as session:
        assert (await session.get(f"http://localhost:{server.port}/")).status == 200
    assert asked == ["/"]
