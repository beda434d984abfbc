"""The world outside for the benches: Meta, Twilio, OpenAI and the customers, in one lean process.

Speaks the vendors' wire formats with as little work as can be, so that what is measured is the gateway.
The same loop and the same model server drive the peer, so that both carry the same load.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import aiohttp
import orjson
from aiohttp import web

from gateway.simulator.twilio_wire import API_VERSION
from tests.bench import meta_wire, twilio_wire
from tests.bench.wire import Post, Write

ANSWER = "Ein Damenhaarschnitt kostet 42 Euro und dauert etwa 45 Minuten. Soll ich nach einem freien Termin sehen?"


@dataclass
class World:
    """Everything the outside has seen, by customer."""

    answered: dict[str, asyncio.Future[float]] = field(default_factory=dict)
    reports: asyncio.Queue[Post] = field(default_factory=asyncio.Queue)
    sent: int = 0
    model_calls: int = 0
    model_delay_s: float = 0.0

    def arrive(self, customer: str) -> int:
        """Hand a customer a message of ours; returns which one of all it is."""
        self.sent += 1
        future = self.answered.get(customer)
        if future is not None and not future.done():
            future.set_result(time.perf_counter())
        return self.sent


def vendor_app(world: World) -> web.Application:
    """Meta's and Twilio's messages endpoints and OpenAI's chat completions."""

    async def whatsapp(request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        if body.get("status") == "read":
            return web.Response(body=b'{"success":true}', content_type="application/json")
        customer = body["to"].lstrip("+")
        provider_id = f"wamid.out{world.arrive(customer)}"
        world.reports.put_nowait(meta_wire.delivered(provider_id, customer, body.get("biz_opaque_callback_data", "")))
        return web.Response(body=meta_wire.taken(provider_id, customer), content_type="application/json")

    async def sms(request: web.Request) -> web.Response:
        form = dict(parse_qsl((await request.read()).decode(), strict_parsing=True))
        number = world.arrive(form["To"].lstrip("+"))
        message = twilio_wire.taken(f"SM{number:032x}", form)
        world.reports.put_nowait(twilio_wire.delivered(message))
        return web.Response(body=twilio_wire.resource(message), status=201, content_type="application/json")

    async def completions(request: web.Request) -> web.Response:
        await request.read()
        world.model_calls += 1
        if world.model_delay_s:
            await asyncio.sleep(world.model_delay_s)
        return web.Response(body=COMPLETION, content_type="application/json")

    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post("/{version}/{number}/messages", whatsapp)
    app.router.add_post(f"/{API_VERSION}/Accounts/{twilio_wire.ACCOUNT_SID}/Messages.json", sms)
    app.router.add_post("/v1/chat/completions", completions)
    return app


COMPLETION = orjson.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1790000000,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 400, "completion_tokens": 30, "total_tokens": 430},
    }
)


class Customers:
    """Customers who write and wait for the answer; measures what they see."""

    def __init__(self, http: aiohttp.ClientSession, gateways: list[str], world: World, write: Write) -> None:
        self.http, self.gateways, self.world, self.write = http, gateways, world, write
        self.acknowledged_s: list[float] = []
        self.answered_s: list[float] = []
        self.failures = 0
        self.counter = 0

    async def post(self, webhook: Post) -> float:
        self.counter += 1
        url = self.gateways[self.counter % len(self.gateways)] + webhook.path
        started = time.perf_counter()
        async with self.http.post(url, data=webhook.body, headers=webhook.headers) as response:
            await response.read()
            if not response.ok:
                self.failures += 1
        return time.perf_counter() - started

    async def turn(self, customer: str, number: int) -> None:
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.world.answered[customer] = future
        webhook = self.write(customer, number, "Was kostet ein Damenhaarschnitt bei euch?")
        started = time.perf_counter()
        self.acknowledged_s.append(await self.post(webhook))
        try:
            self.answered_s.append(await asyncio.wait_for(future, 60) - started)
        except TimeoutError:
            self.failures += 1

    async def report_deliveries(self) -> None:
        """The carriers' delivery reports, posted as they come."""
        while True:
            await self.post(await self.world.reports.get())


async def closed_loop(in_flight: int, turns: int, one: Callable[[int, int], Coroutine[None, None, None]]) -> float:
    """Run `turns` turns with so many at once; returns the seconds it took."""
    numbers = iter(range(turns))

    async def worker(slot: int) -> None:
        for number in numbers:
            await one(slot, number)

    started = time.perf_counter()
    await asyncio.gather(*(worker(slot) for slot in range(in_flight)))
    return time.perf_counter() - started


async def open_loop(per_second: float, turns: int, one: Callable[[int, int], Coroutine[None, None, None]]) -> None:
    """Start turns at a steady pace, whatever comes back."""
    started = time.perf_counter()
    tasks = []
    for number in range(turns):
        delay = started + number / per_second - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        tasks.append(asyncio.create_task(one(number, number)))
    await asyncio.gather(*tasks)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
