"""What Twilio's REST interface answers apart from what was asked for: refusals, lists, and dead connections."""

from collections.abc import Sequence

from aiohttp import web

from gateway.simulator import twilio_wire as wire
from gateway.simulator.twilio_wire import Json

PAGE_SIZE, PAGE_SIZE_MAX = 50, 1_000


def refusal(code: int, http_status: int = 400) -> web.Response:
    return web.json_response(wire.error(code, http_status), status=http_status)


def hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def listed(request: web.Request, name: str, items: Sequence[Json]) -> web.Response:
    """Answer with the page of a list that the request asks for."""
    size = min(int(request.query.get("PageSize", PAGE_SIZE)), PAGE_SIZE_MAX)
    number = int(request.query.get("Page", "0"))
    following = request.rel_url.update_query(Page=str(number + 1), PageSize=str(size))
    return web.json_response(wire.page(name, items, next_page=str(following), size=size, number=number))
