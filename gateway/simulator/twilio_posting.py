"""How Twilio posts webhooks: signed over the public address, repeated as the address's fragment asks, then given up.

`#rc=3&rp=all` behind an address means three repetitions after any failure; without it there is one, and only if no
connection came about. After that the fallback address is tried, and after that the webhook is lost.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urldefrag, urlencode

import aiohttp

from gateway.simulator import twilio_wire as wire
from gateway.simulator.twilio_wire import Form

TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5)
PAUSE_FIRST_S, PAUSE_MAX_S = 0.05, 2.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook that was given up."""

    url: str
    form: Form


@dataclass(frozen=True, slots=True)
class Reply:
    """What a webhook was answered with."""

    status: int
    text: str

    @property
    def is_taken(self) -> bool:
        return 200 <= self.status < 300


class Postman:
    """Posts for one account. `reach` says where a public address really is: behind a proxy, on another port."""

    def __init__(self, auth_token: str, *, reach: Callable[[str], str]) -> None:
        self.auth_token = auth_token
        self.shared_key: tuple[str, str] | None = None  # name and secret: signs with it instead
        self.posted = 0  # webhooks that were answered with 2xx
        self.lost: list[Webhook] = []
        self._reach = reach
        self._tokens = itertools.count(1)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep connections while it posts."""
        async with aiohttp.ClientSession() as self._http:
            yield

    async def deliver(self, url: str, form: Form, *, fallback_url: str = "", patient: bool = False) -> int | None:
        """Post until it is answered or given up; return the last status, None for no answer at all.

        `patient`: the fallback is a queue that never gives up.
        """
        reply = await self._deliver(url, form, fallback_url=fallback_url, patient=patient)
        return None if reply is None else reply.status

    async def ask(self, url: str, form: Form, *, fallback_url: str = "") -> str | None:
        """Post and return what was answered, None if it was given up."""
        reply = await self._deliver(url, form, fallback_url=fallback_url, patient=False)
        return reply.text if reply is not None and reply.is_taken else None

    async def post_once(self, url: str, form: Form, *, signature: str | None = None, token: str = "0" * 32) -> int:
        """Post once and return the status; signed as Twilio does unless a signature is given."""
        signed = self.signed(url, form) if signature is None else {"X-Twilio-Signature": signature}
        return (await self._post(url, form, token, signed)).status

    def signed(self, url: str, form: Form) -> Mapping[str, str]:
        """Return the headers that sign a request."""
        if self.shared_key is None:
            return {"X-Twilio-Signature": wire.signature(url, form, self.auth_token)}
        name, secret = self.shared_key
        return {
            "X-Twilio-Signature": wire.shared_key_signature(url, form, secret),
            "X-Twilio-Webhooks-Signature-Settings": f"key={name},algorithm=HMAC_SHA256",
        }

    async def _deliver(self, url: str, form: Form, *, fallback_url: str, patient: bool) -> Reply | None:
        token = f"{next(self._tokens):032x}"
        reply = await self._try(url, form, token)
        if not _is_taken(reply) and fallback_url:
            reply = await self._try(fallback_url, form, token)
        pause_s = PAUSE_FIRST_S
        while patient and not _is_taken(reply):
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)
            reply = await self._once(urldefrag(fallback_url or url).url, form, token)
        if _is_taken(reply):
            self.posted += 1
        else:
            self.lost.append(Webhook(url, form))
        return reply

    async def _post(self, url: str, form: Form, token: str, signed: Mapping[str, str]) -> Reply:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "I-Twilio-Idempotency-Token": token,
            **signed,
        }
        body = urlencode(list(form)).encode()
        async with self._http.post(self._reach(url), data=body, headers=headers, timeout=TIMEOUT) as response:
            return Reply(response.status, await response.text())

    async def _try(self, url: str, form: Form, token: str) -> Reply | None:
        address, fragment = urldefrag(url)
        wishes = parse_qs(fragment)
        repetitions = min(int(wishes.get("rc", ["1"])[0]), 5)
        policies = set(wishes.get("rp", ["ct"])[0].split(","))
        reply = await self._once(address, form, token)
        for at in range(repetitions):
            if _is_taken(reply) or not _may_repeat(reply, policies):
                break
            await asyncio.sleep(PAUSE_FIRST_S * 2**at)
            reply = await self._once(address, form, token)
        return reply

    async def _once(self, url: str, form: Form, token: str) -> Reply | None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            return await self._post(url, form, token, self.signed(url, form))
        return None


def _is_taken(reply: Reply | None) -> bool:
    return reply is not None and reply.is_taken


def _may_repeat(reply: Reply | None, policies: set[str]) -> bool:
    if "all" in policies:
        return True
    if reply is None:
        return bool(policies & {"ct", "rt"})
    return f"{reply.status // 100}xx" in policies
