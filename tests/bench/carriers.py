"""The world outside for the benches: Meta, OpenAI and the customers, in one lean process.

Speaks the vendors' wire formats with as little work as can be, so that what is measured is the gateway.
The same loop and the same model server drive the peer, so that both carry the same load.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

import aiohttp
import orjson
from aiohttp import web

APP_SECRET = "bench-app-secret"
# Meta takes 80 messages a second from one number, and the gateway keeps to it: a busy business has several.
LINES = 10
ANSWER = "Ein Damenhaarschnitt kostet 42 Euro und dauert etwa 45 Minuten. Soll ich nach einem freien Termin sehen?"


@dataclass
class World:
    """Everything the outside has seen, by customer."""

    answered: dict[str, asyncio.Future[float]] = field(default_factory=dict)
    model_seconds: dict[str, float] = field(default_factory=dict)
    reports: asyncio.Queue[tuple[str, str, str]] = field(default_factory=asyncio.Queue)
    sent: int = 0
    model_calls: int = 0
    model_delay_s: float = 0.0


def vendor_app(world: World) -> web.Application:
    """Meta's messages endpoint and OpenAI's chat completions."""

    async def messages(request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        if body.get("status") == "read":
            return web.Response(body=b'{"success":true}', content_type="application/json")
        world.sent += 1
        provider_id = f"wamid.out{world.sent}"
        customer = body["to"].lstrip("+")
        future = world.answered.get(customer)
        if future is not None and not future.done():
            future.set_result(time.perf_counter())
        world.reports.put_nowait((provider_id, customer, body.get("biz_opaque_callback_data", "")))
        return web.Response(
            body=orjson.dumps(
                {
                    "messaging_product": "whatsapp",
                    "contacts": [{"input": customer, "wa_id": customer}],
                    "messages": [{"id": provider_id}],
                }
            ),
            content_type="application/json",
        )

    async def completions(request: web.Request) -> web.Response:
        await request.read()
        world.model_calls += 1
        if world.model_delay_s:
            await asyncio.sleep(world.model_delay_s)
        return web.Response(body=COMPLETION, content_type="application/json")

    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post("/{version}/{number}/messages", messages)
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


def signed(body: bytes) -> dict[str, str]:
    digest = hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}", "Content-Type": "application/json"}


def line_of(customer: str) -> int:
    """Which of the business's numbers a customer writes to."""
    return int(customer) % LINES


def envelope(customer: str, value: dict[str, object]) -> bytes:
    line = line_of(customer)
    metadata = {"display_phone_number": f"491510000000{line}", "phone_number_id": f"100000{line}"}
    return orjson.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": "1",
                    "changes": [
                        {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
                    ],
                }
            ],
        }
    )


def text_webhook(customer: str, number: int, text: str) -> bytes:
    return envelope(
        customer,
        {
            "contacts": [{"profile": {"name": "Kundin"}, "wa_id": customer}],
            "messages": [
                {
                    "from": customer,
                    "id": f"wamid.in.{customer}.{number}",
                    "timestamp": str(int(time.time())),
                    "type": "text",
                    "text": {"body": text},
                }
            ],
        },
    )


def status_webhook(provider_id: str, customer: str, ours: str, status: str) -> bytes:
    return envelope(
        customer,
        {
            "statuses": [
                {
                    "id": provider_id,
                    "status": status,
                    "timestamp": str(int(time.time())),
                    "recipient_id": customer,
                    "biz_opaque_callback_data": ours,
                    "pricing": {
                        "billable": False,
                        "pricing_model": "PMP",
                        "type": "free_customer_service",
                        "category": "service",
                    },
                }
            ]
        },
    )


class Customers:
    """Customers who write and wait for the answer; measures what they see."""

    def __init__(self, http: aiohttp.ClientSession, gateways: list[str], world: World) -> None:
        self.http, self.gateways, self.world = http, gateways, world
        self.acknowledged_s: list[float] = []
        self.answered_s: list[float] = []
        self.failures = 0
        self.counter = 0

    async def post(self, body: bytes) -> float:
        self.counter += 1
        url = self.gateways[self.counter % len(self.gateways)] + "/webhooks/whatsapp"
        started = time.perf_counter()
        async with self.http.post(url, data=body, headers=signed(body)) as response:
            await response.read()
            if response.status != 200:
                self.failures += 1
        return time.perf_counter() - started

    async def turn(self, customer: str, number: int) -> None:
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.world.answered[customer] = future
        started = time.perf_counter()
        self.acknowledged_s.append(
            await self.post(text_webhook(customer, number, "Was kostet ein Damenhaarschnitt bei euch?"))
        )
        try:
            self.answered_s.append(await asyncio.wait_for(future, 60) - started)
        except TimeoutError:
            self.failures += 1

    async def report_deliveries(self) -> None:
        """Meta's delivery reports, posted as they come."""
        while True:
            provider_id, customer, ours = await self.world.reports.get()
            await self.post(status_webhook(provider_id, customer, ours, "delivered"))


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
