"""Twilio's REST interface over aiohttp: one request, one answer, and every failure as a value.

Requests are not idempotent and are never repeated here: what a failure means for the next attempt, the caller knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import orjson
from yarl import URL

from gateway.db import transaction_is_open

API_VERSION = "2010-04-01"
TIMEOUT = aiohttp.ClientTimeout(total=20, connect=5)
ANSWER_BYTES_MAX = 4 * 1024 * 1024  # a page of a list; what is longer is somebody else's

Json = Mapping[str, object]
Form = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Twilio did it; `body` is what it says of it, empty after a deletion."""

    body: Json


@dataclass(frozen=True, slots=True)
class NotConnected:
    """Nothing was done: the request did not leave, or Twilio says itself that it is unwell."""

    reason: str


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """The request was written and nobody knows what became of it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Nothing was done: too many requests."""

    code: int | None
    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was done and nothing will be: Twilio's own code, None if the answer has none, and the HTTP status."""

    code: int | None
    status: int
    message: str


Failure = NotConnected | OutcomeUnknown | Throttled | Refused
Answer = Accepted | Failure


class TwilioRest:
    """One account at Twilio. Paths are below the account: "Messages.json"."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        api_url: str,
        account_sid: str,
        auth_token: str,
        messaging_url: str,
        *,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
    ) -> None:
        self.http = http
        self.api_url = URL(api_url)
        self.account_sid = account_sid
        self.authorization = aiohttp.encode_basic_auth(account_sid, auth_token)
        self._account_url = self.api_url / API_VERSION / "Accounts" / account_sid
        self._messaging_url = URL(messaging_url)
        self._timeout = timeout

    async def post(self, path: str, form: Form) -> Answer:
        return await self._ask("POST", self._account_url.joinpath(path), form=form)

    async def get(self, path: str, query: Form = ()) -> Answer:
        return await self._ask("GET", self._account_url.joinpath(path).with_query(list(query)))

    async def get_page(self, next_page_uri: str) -> Answer:
        """Fetch the page of a list that an earlier one names."""
        url = self.api_url.join(URL(next_page_uri))
        if url.origin() != self.api_url.origin():
            return Refused(None, 0, "the next page is not at Twilio")
        return await self._ask("GET", url)

    async def delete(self, path: str) -> Answer:
        return await self._ask("DELETE", self._account_url.joinpath(path))

    async def post_messaging(self, path: str, form: Form, *, timeout: aiohttp.ClientTimeout | None = None) -> Answer:
        """Post to the messaging interface, which has a host of its own."""
        return await self._ask("POST", self._messaging_url.joinpath(path), form=form, timeout=timeout)

    async def _ask(
        self, method: str, url: URL, *, form: Form | None = None, timeout: aiohttp.ClientTimeout | None = None
    ) -> Answer:
        if transaction_is_open():
            raise AssertionError("a vendor is never awaited inside a transaction")
        try:
            async with self.http.request(
                method,
                url,
                data=None if form is None else aiohttp.FormData(list(form)),
                headers={"Authorization": self.authorization},
                allow_redirects=False,
                timeout=timeout or self._timeout,
            ) as response:
                return read_answer(response.status, await _body(response), response.headers.get("Retry-After"))
        # Connecting failed, so nothing was written. Every other break comes after the request had begun to leave.
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            return NotConnected(type(error).__name__)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return OutcomeUnknown(type(error).__name__)


def read_answer(status: int, body: bytes, retry_after: str | None = None) -> Answer:
    """Sort an answer by what was done (pure)."""
    said = _object(body)
    if 200 <= status < 300:
        return Accepted(said or {}) if said is not None or not body else OutcomeUnknown("an answer that is not JSON")
    code = said.get("code") if said is not None else None
    code = code if isinstance(code, int) else None
    if status == 429 or code in (14107, 20429):
        return Throttled(code, _seconds(retry_after))
    if status >= 500 or status == 408:
        # Twilio's own words say that nothing was done; of a proxy's page nobody knows.
        reason = f"status {status} ({code})"
        return NotConnected(reason) if code is not None else OutcomeUnknown(reason)
    return Refused(code, status, str(said.get("message", "")) if said is not None else "")


def _seconds(retry_after: str | None) -> float | None:
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


def _object(body: bytes) -> Json | None:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            break
    return bytes(body)
