"""A recording's sound, passed on as it comes from Twilio: none of it is kept here."""

from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from yarl import URL

from gateway.db import transaction_is_open
from gateway.errors import MediaError
from gateway.twilio.media import CHUNK_BYTES, REASONS, REDIRECTS_MAX, is_store
from gateway.twilio.rest import API_VERSION, TwilioRest

MIME_TYPE: Final = "audio/mpeg"
TIMEOUT: Final = aiohttp.ClientTimeout(total=300, connect=5, sock_read=15)
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


async def stream(rest: TwilioRest, recording_sid: str) -> AsyncIterator[bytes]:
    """Yield a recording as MP3. Raises MediaError, before the first piece if it cannot be had at all."""
    if transaction_is_open():
        raise AssertionError("a vendor is never awaited inside a transaction")
    url = rest.api_url / API_VERSION / "Accounts" / rest.account_sid / "Recordings" / f"{recording_sid}.mp3"
    headers = {"Authorization": rest.authorization, "Accept-Encoding": "identity"}
    try:
        for _ in range(REDIRECTS_MAX + 1):
            async with rest.http.get(url, headers=headers, allow_redirects=False, timeout=TIMEOUT) as response:
                if response.status not in REDIRECTS:
                    if response.status != 200:
                        raise MediaError(REASONS.get(response.status, "unreachable"), f"status {response.status}")
                    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                        yield chunk
                    return
                url = _next(url, response.headers.get("Location", ""), rest.api_url)
                headers.pop("Authorization", None)  # the store asks for none
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise MediaError("unreachable", type(error).__name__) from None
    raise MediaError("refused", "too many redirects")


def _next(url: URL, location: str, api_url: URL) -> URL:
    try:
        following = url.join(URL(location))
    except ValueError:
        raise MediaError("refused", "no address") from None
    if not location or not is_store(following, api_url):
        raise MediaError("refused", "sent on to a host that is not Twilio's")
    return following
