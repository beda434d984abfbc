"""A WhatsApp Cloud API that runs here: takes messages, reports on them, and lets customers write.

It stands outside: its own port, its own clock, Meta's wire format, webhooks that are repeated until they are answered
with 200. Demo and tests use the same one.
"""

import asyncio
import base64
import contextlib
import hashlib
import io
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import orjson
from aiohttp import web

from gateway.simulator import meta_wire as wire
from gateway.simulator.faults import MetaFaults
from gateway.simulator.meta_wire import Business, Json, Person

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 2.0
TEXT_MAX = 4_096
WORDS: Mapping[int, str] = {
    130429: "Rate limit hit",
    131000: "Something went wrong",
    131026: "Message undeliverable",
    131042: "Business eligibility payment issue",
    131047: "Re-engagement message",
    131056: "Pair rate limit hit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One message that Meta took from the gateway."""

    wamid: str
    to: str
    text: str
    callback: str | None
    phone_number_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A file that a customer sent."""

    mime_type: str
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        return base64.b64encode(hashlib.sha256(self.content).digest()).decode()


class FakeMeta:
    """The simulated vendor; `faults` may be changed at any time."""

    def __init__(
        self, *, webhook_url: str | Callable[[], str], app_secret: str, token: str, businesses: Sequence[Business]
    ) -> None:
        """`webhook_url` may be a function, asked anew for every post: several gateways share the work."""
        self.webhook_url = webhook_url
        self.app_secret = app_secret
        self.token = token
        self.businesses = {business.phone_number_id: business for business in businesses}
        self.faults = MetaFaults()
        self.sent: list[Sent] = []
        self.media: dict[str, Media] = {}
        self.read_and_typing: list[str] = []  # the messages that were marked read, in order
        self.posted = 0  # webhooks that were answered with 200
        self.clock_offset_s = 0.0
        self.url = ""
        self._arrived = asyncio.Condition()
        self._withheld: list[tuple[Business, Json]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._prefix = f"{random.getrandbits(48):012X}"

    @contextlib.asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve; yields the API's address with its version."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/{version}/{phone_number_id}/messages", self._messages)
        app.router.add_get("/{version}/{media_id}", self._describe_media)
        app.router.add_get("/download/{version}/{media_id}", self._download)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        self.url = f"http://{host}:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as self._http:
            try:
                yield f"{self.url}/v23.0"
            finally:
                for task in list(self._tasks):
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await runner.cleanup()

    def now_s(self) -> int:
        return int(time.time() + self.clock_offset_s)

    def new_wamid(self) -> str:
        return f"wamid.{self._prefix}{next(self._numbers):010d}"

    def sent_to(self, address: str) -> list[Sent]:
        wanted = address.lstrip("+")
        return [sent for sent in self.sent if sent.to.lstrip("+") == wanted]

    async def wait_for_sent(self, address: str, count: int, *, timeout_s: float = 15.0) -> list[Sent]:
        """Wait until so many messages have gone to a customer. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: len(self.sent_to(address)) >= count)
        return self.sent_to(address)

    def post(self, business: Business, values: Sequence[Json], *, field: str = "messages") -> "asyncio.Task[None]":
        """Post a webhook in the background, `faults.copies` times, each until it is answered with 200."""
        body = wire.envelope(business, values, field=field)
        return self._spawn(self._deliver_copies(body, self.faults.copies))

    async def post_once(self, body: bytes, *, signature: str | None = None) -> int:
        """Post a body once and return the status; signed as Meta does unless a signature is given."""
        headers = {
            "X-Hub-Signature-256": wire.signature(body, self.app_secret) if signature is None else signature,
            "Content-Type": "application/json",
        }
        url = self.webhook_url if isinstance(self.webhook_url, str) else self.webhook_url()
        async with self._http.post(url, data=io.BytesIO(body), headers=headers) as response:
            await response.read()
            return response.status

    async def release_reports(self) -> None:
        """Let withheld statuses go, and the following ones at once."""
        self.faults.reports_withheld = False
        withheld, self._withheld = self._withheld, []
        await asyncio.gather(*(self.post(business, [value]) for business, value in withheld))

    async def settled(self) -> None:
        """Wait until every webhook has been answered."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _deliver_copies(self, body: bytes, copies: int) -> None:
        await asyncio.gather(*(self._deliver(body) for _ in range(copies)))

    async def _deliver(self, body: bytes) -> None:
        delay_s = RETRY_FIRST_S
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                if await self.post_once(body) == 200:
                    self.posted += 1
                    return
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RETRY_MAX_S)

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.faults.delay_s)
        business = self.businesses.get(request.match_info["phone_number_id"])
        if request.headers.get("Authorization") != f"Bearer {self.token}" or business is None:
            return _error(401, 190, "Invalid OAuth access token")
        body = orjson.loads(await request.read())
        if body.get("status") == "read":
            return self._mark_read(body)
        return self._refusal(body) or await self._send(request, business, body)

    async def _send(self, request: web.Request, business: Business, body: Mapping[str, object]) -> web.Response:
        if self.faults.dropped_before_accept > 0:
            self.faults.dropped_before_accept -= 1
            return _hang_up(request)
        sent = await self._take(business, body)
        if self.faults.dropped_after_accept > 0:
            self.faults.dropped_after_accept -= 1
            return _hang_up(request)
        return web.json_response(
            {
                "messaging_product": "whatsapp",
                "contacts": [{"input": sent.to, "wa_id": sent.to.lstrip("+")}],
                "messages": [{"id": sent.wamid}],
            }
        )

    def _mark_read(self, body: Json) -> web.Response:
        if self.faults.typing_refused:
            return _error(400, 131009, "Parameter value is not valid")
        self.read_and_typing.append(str(body["message_id"]))
        return web.json_response({"success": True})

    def _refusal(self, body: Mapping[str, Mapping[str, str]]) -> web.Response | None:
        faults = self.faults
        if faults.throttled > 0:
            faults.throttled -= 1
            return _error(429, 130429, WORDS[130429])
        if faults.unwell > 0:
            faults.unwell -= 1
            return _error(500, 131000, WORDS[131000])
        if faults.refusal_codes:
            code = faults.refusal_codes.pop(0)
            return _error(400, code, WORDS.get(code, "Refused"))
        text = body.get("text", {}).get("body", "")
        if not 0 < len(text) <= TEXT_MAX:
            return _error(400, 100, "Param text['body'] must be at most 4096 characters long")
        if ("to" in body) == ("recipient" in body):
            return _error(400, 100, "Either to or recipient")
        return None

    async def _take(self, business: Business, body: Mapping[str, object]) -> Sent:
        text = body["text"]
        sent = Sent(
            wamid=self.new_wamid(),
            to=str(body.get("to") or body.get("recipient")),
            text=str(text["body"]) if isinstance(text, Mapping) else "",
            callback=str(body["biz_opaque_callback_data"]) if body.get("biz_opaque_callback_data") else None,
            phone_number_id=business.phone_number_id,
        )
        self.sent.append(sent)
        self._report(business, sent)
        async with self._arrived:
            self._arrived.notify_all()
        return sent

    def _report(self, business: Business, sent: Sent) -> None:
        if self.faults.failed_later_codes:
            code = self.faults.failed_later_codes.pop(0)
            statuses = [self._status(sent, "failed", errors=[wire.error(code, WORDS.get(code, "Failed"))])]
        else:
            statuses = [self._status(sent, word) for word in ("sent", "delivered", "read")]
        if self.faults.reports_shuffled:
            random.shuffle(statuses)
        groups = [statuses] if self.faults.reports_batched else [[one] for one in statuses]
        for group in groups:
            value = wire.status_value(business, group)
            if self.faults.reports_withheld:
                self._withheld.append((business, value))
            else:
                self.post(business, [value])

    def _status(self, sent: Sent, word: str, *, errors: Sequence[Json] = ()) -> Json:
        return wire.status(sent.wamid, word, self.now_s(), recipient=sent.to, callback=sent.callback, errors=errors)

    async def _describe_media(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _error(401, 190, "Invalid OAuth access token")
        media_id = request.match_info["media_id"]
        media = self.media.get(media_id)
        if media is None or self.faults.media_missing:
            return _error(404, 100, "Unsupported get request")
        return web.json_response(
            {
                "messaging_product": "whatsapp",
                "url": f"{self.url}/download/v23.0/{media_id}",
                "mime_type": media.mime_type,
                "sha256": hashlib.sha256(media.content).hexdigest(),
                "file_size": len(media.content),
                "id": media_id,
            }
        )

    async def _download(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        media = self.media[request.match_info["media_id"]]
        return web.Response(body=media.content, content_type=media.mime_type.partition(";")[0])


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _error(http_status: int, code: int, words: str) -> web.Response:
    return web.json_response(
        {"error": {"message": f"(#{code}) {words}", "type": "OAuthException", "code": code, "fbtrace_id": "simulated"}},
        status=http_status,
    )


__all__ = ["Business", "FakeMeta", "Media", "Person", "Sent"]
