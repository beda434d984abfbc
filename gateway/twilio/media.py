"""Fetch what came with a message: from Twilio with the account's password, then from the store it names, without.

Addresses lead to Twilio and its stores alone, over TLS: no webhook and no redirect makes us read anything else, least
of all something in our own network.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from gateway.db import transaction_is_open
from gateway.errors import MediaError
from gateway.twilio.rest import TwilioRest

TWILIO_HOST = ".twilio.com"
STORE_HOSTS = re.compile(r"(?:[a-z0-9-]+\.)*twiliocdn\.com|(?:[a-z0-9-]+\.)*s3(?:[.-][a-z0-9-]+){0,2}\.amazonaws\.com")
REDIRECTS_MAX = 3
CHUNK_BYTES = 65_536
TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5, sock_read=15)
REASONS: Mapping[int, str] = {400: "refused", 401: "refused", 403: "refused", 404: "expired", 410: "expired"}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file as it came. Twilio promises no hash to check it against."""

    mime_type: str
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.content).digest()


async def fetch_file(rest: TwilioRest | None, address: str | None, *, max_bytes: int) -> File:
    """Return a file. Raises MediaError; its reason says what to tell the agent."""
    if transaction_is_open():
        raise AssertionError("a vendor is never awaited inside a transaction")
    if rest is None or not address:
        raise MediaError("refused", "no account, or no address")
    url = _parsed(address)
    if not is_twilio(url, rest.api_url):
        raise MediaError("refused", "a host that is not Twilio's")
    headers = {"Authorization": rest.authorization, "Accept-Encoding": "identity"}
    for _ in range(REDIRECTS_MAX + 1):
        try:
            async with rest.http.get(url, headers=headers, allow_redirects=False, timeout=TIMEOUT) as response:
                if response.status not in (301, 302, 303, 307, 308):
                    return File(mime_type=response.content_type, content=await _body(response, max_bytes=max_bytes))
                url = _next(url, response.headers.get("Location", ""), rest.api_url)
                headers.pop("Authorization", None)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise MediaError("unreachable", type(error).__name__) from None
    raise MediaError("refused", "too many redirects")


def is_twilio(url: URL, api_url: URL) -> bool:
    """Return whether the password may go to an address: Twilio's hosts over TLS, or the API's own origin (pure)."""
    if url.absolute and url.user is None and url.origin() == api_url.origin():
        return True
    return _over_tls(url) and (url.host or "").endswith(TWILIO_HOST)


def is_store(url: URL, api_url: URL) -> bool:
    """Return whether Twilio may send us on to an address (pure)."""
    return is_twilio(url, api_url) or (_over_tls(url) and STORE_HOSTS.fullmatch(url.host or "") is not None)


def _over_tls(url: URL) -> bool:
    return url.scheme == "https" and url.port == 443 and url.user is None


def _next(url: URL, location: str, api_url: URL) -> URL:
    following = url.join(_parsed(location))
    if not location or not is_store(following, api_url):
        raise MediaError("refused", "sent on to a host that is not Twilio's")
    return following


def _parsed(address: str) -> URL:
    try:
        return URL(address)
    except ValueError:
        raise MediaError("refused", "no address") from None


async def _body(response: aiohttp.ClientResponse, *, max_bytes: int) -> bytes:
    if response.status != 200:
        raise MediaError(REASONS.get(response.status, "unreachable"), f"status {response.status}")
    if (response.content_length or 0) > max_bytes:
        raise MediaError("too_large")
    content = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise MediaError("too_large")
    return bytes(content)
