"""A Twilio that runs here: takes texts, reports on them, and lets customers write by SMS and WhatsApp, and call.

It stands outside: its own port, its own clock, Twilio's wire format and Twilio's rules for opting out. Demo and tests
use the same one. Its numbers are sold by `simulator.twilio_numbers`; `simulator.twilio_customer` writes to them,
`simulator.caller` calls them.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from gateway.simulator import twilio_wire as wire
from gateway.simulator.twilio_account import TwilioAccount
from gateway.simulator.twilio_answers import hang_up, listed, refusal
from gateway.simulator.twilio_callbacks import Callbacks
from gateway.simulator.twilio_calls import Calls
from gateway.simulator.twilio_media import STORE_PATH, MediaShelf
from gateway.simulator.twilio_numbers import Numbers
from gateway.simulator.twilio_wire import WHATSAPP, Message

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeTwilio(TwilioAccount):
    """The simulated vendor. `numbers` and `whatsapp_senders` are those of the account from the beginning."""

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        public_url: str,
        gateway_url: str | Callable[[], str] | None = None,
        numbers: Sequence[str] = (),
        whatsapp_senders: Sequence[str] = (),
    ) -> None:
        """`public_url` is signed; `gateway_url` is where it really leads, asked anew for every post if a function."""
        super().__init__(account_sid=account_sid, auth_token=auth_token, public_url=public_url, gateway_url=gateway_url)
        self.numbers = Numbers(self)
        for number in numbers:
            self.numbers.add(
                number,
                "mobile",
                sms_url=self.messages_url,
                voice_url=self.voice_url,
                status_callback=self.voice_status_url,
            )
        self.whatsapp_senders = set(whatsapp_senders)
        self.media = MediaShelf(self)
        self.callbacks = Callbacks(self)
        self.calls = Calls(self, self.numbers)

    @contextlib.asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve; yields the address of both of its interfaces."""
        app = web.Application(client_max_size=16 * 1024 * 1024, middlewares=[self._known_only])
        account = f"/{wire.API_VERSION}/Accounts/{self.account_sid}"
        app.router.add_post(f"{account}/Messages.json", self._send)
        app.router.add_get(f"{account}/Messages.json", self._list)
        app.router.add_get(f"{account}/Messages/{{sid}}.json", self._show)
        app.router.add_post("/v2/Indicators/Typing.json", self._typing)
        app.router.add_routes([*self.media.routes(account), *self.numbers.routes(account), *self.calls.routes(account)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        self.url = f"http://{host}:{runner.addresses[0][1]}"
        async with self.postman.running(), self.calls.running():
            try:
                yield self.url
            finally:
                await self.stop()
                await runner.cleanup()

    async def receive(self, message: Message, *, more: wire.Form = ()) -> int | None:
        """Take a customer's message, obey its keyword, post the webhook; return its status, None if it was lost."""
        await self.keep(message)
        word = None if message.is_whatsapp else self.obey(message)
        form = wire.inbound_form(message, opt_out=word if self.advanced_opt_out else None, more=more)
        number = self.numbers.by_number(message.to)
        posts = (
            self.postman.deliver(
                (number.sms_url if number else "") or self.messages_url,
                form,
                fallback_url=number.sms_fallback_url if number else "",
                patient=self.fallback_queue,
            )
            for _ in range(self.faults.copies)
        )
        return (await asyncio.gather(*posts))[0]

    @web.middleware
    async def _known_only(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        await asyncio.sleep(self.faults.delay_s)
        allowed = aiohttp.encode_basic_auth(self.account_sid, self.auth_token)
        if not request.path.startswith(STORE_PATH) and request.headers.get("Authorization") != allowed:
            return refusal(20003, 401)
        return await handler(request)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        refused = self._fault(request) or self._refused(form)
        if refused is not None:
            return refused
        message = self._taken(form)
        answer = wire.message_resource(message)
        await self.keep(message)
        self.callbacks.report(message)
        if self.faults.dropped_after_accept > 0:
            self.faults.dropped_after_accept -= 1
            return hang_up(request)
        return web.json_response(answer, status=201)

    def _fault(self, request: web.Request) -> web.Response | None:
        faults = self.faults
        if faults.dropped_before_accept > 0:
            faults.dropped_before_accept -= 1
            return hang_up(request)
        if faults.throttled > 0:
            faults.throttled -= 1
            return refusal(20429, 429)
        if faults.unwell > 0:
            faults.unwell -= 1
            return refusal(20500, 500)
        if faults.unreadable > 0:
            faults.unreadable -= 1
            return web.Response(status=502, text="<html>Bad gateway</html>", content_type="text/html")
        return refusal(faults.refusal_codes.pop(0)) if faults.refusal_codes else None

    def _refused(self, form: Mapping[str, str]) -> web.Response | None:
        sender, to, body = form.get("From", ""), form.get("To", ""), form.get("Body", "")
        missing = next((code for given, code in ((to, 21604), (sender, 21603), (body, 21602)) if not given), None)
        if missing is not None:
            return refusal(missing)
        if len(body) > wire.BODY_MAX:
            return refusal(21617)
        if sender.startswith(WHATSAPP) != to.startswith(WHATSAPP):
            return refusal(21910)
        if sender.startswith(WHATSAPP):
            return None if sender.removeprefix(WHATSAPP) in self.whatsapp_senders else refusal(63007)
        return self._sms_refused(sender, to)

    def _sms_refused(self, sender: str, to: str) -> web.Response | None:
        number = self.numbers.by_number(sender)
        if number is None:
            return refusal(21659)
        if number.kind != "mobile":
            return refusal(21606)
        if not (to.startswith("+") and to[1:].isdigit()):
            return refusal(21211)
        return refusal(21610) if (sender, to) in self.opted_out else None

    def _taken(self, form: Mapping[str, str]) -> Message:
        body, sender = form["Body"], form["From"]
        segments = 1 if sender.startswith(WHATSAPP) else wire.sms_segments(body)
        return Message(
            sid=self.new_sid("SM"),
            account_sid=self.account_sid,
            sender=sender,
            to=form["To"],
            body=body,
            direction="outbound-api",
            created_at=self.now(),
            status="queued",
            segments=max(1, segments - self.faults.segments_fewer),
            segments_said=not self.faults.segments_unsaid,
            callback=form.get("StatusCallback", ""),
        )

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        from_on = datetime.fromisoformat(query["DateSent>"]) if "DateSent>" in query else None
        found = [
            wire.message_resource(message)
            for message in reversed(self.messages.values())
            if query.get("To", message.to) == message.to
            and query.get("From", message.sender) == message.sender
            and (from_on is None or (message.sent_at is not None and message.sent_at >= from_on.replace(tzinfo=UTC)))
        ]
        return listed(request, "messages", found)

    async def _show(self, request: web.Request) -> web.Response:
        message = self.messages.get(request.match_info["sid"])
        return refusal(20404, 404) if message is None else web.json_response(wire.message_resource(message))

    async def _typing(self, request: web.Request) -> web.Response:
        form = await request.post()
        sid = str(form.get("messageId"))
        if self.faults.typing_refused or form.get("channel") != "whatsapp" or sid not in self.messages:
            return refusal(20404, 404)
        self.read_and_typing.append(sid)
        return web.json_response({"success": True})
