"""Fetch what came with a message: ask Meta for its address, then read it within a limit and check its hash.

The access token goes to Meta's own hosts and nowhere else, whatever an answer or a redirect says.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import orjson
from yarl import URL

from gateway.channels.base import FetchedMedia, MediaReference
from gateway.channels.whatsapp.fields import Json, as_object, as_text, as_whole_number
from gateway.errors import MediaError

META_HOSTS = (".fbsbx.com", ".facebook.com", ".whatsapp.net")
REDIRECTS_MAX = 3
DESCRIPTION_BYTES_MAX = 65_536
CHUNK_BYTES = 65_536
TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5, sock_read=15)

# What a status says, for the description of a medium and for the medium alike.
REASONS: Mapping[int, str] = {400: "expired", 401: "refused", 403: "refused", 404: "expired", 410: "expired"}

_MEDIA_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSource:
    """Where media are had: Meta's API, the line they came in on, and the token for both."""

    http: aiohttp.ClientSession
    api_url: URL
    phone_number_id: str
    token: str = field(repr=False)


async def fetch_from(source: MediaSource, media: MediaReference, *, max_bytes: int) -> FetchedMedia:
    """Return the media behind a reference. Raises MediaError; its reason says what to tell the agent."""
    described = await _describe(source, media)
    size = as_whole_number(described.get("file_size"))
    if size is not None and size > max_bytes:
        raise MediaError("too_large")
    # The address in the webhook may be older than the five minutes it lives; the one asked for is not.
    url = as_text(described.get("url")) or media.url
    if not url:
        raise MediaError("expired", "no address")
    content, content_type = await _read(source, _allowed(url, source.api_url), max_bytes=max_bytes)
    digest = hashlib.sha256(content).digest()
    promised = media.sha256_base64 or as_text(described.get("sha256"))
    if promised and not _is_hash(promised, digest):
        raise MediaError("hash_mismatch")
    mime_type = as_text(described.get("mime_type")) or media.mime_type or content_type
    return FetchedMedia(mime_type=mime_type, content=content, sha256=digest)


def is_allowed(url: URL, api_url: URL) -> bool:
    """Return whether the token may go to an address: Meta's hosts over TLS, or the API's own origin (pure)."""
    if url.absolute and url.origin() == api_url.origin():
        return True
    return url.scheme == "https" and url.port == 443 and (url.host or "").endswith(META_HOSTS)


async def _describe(source: MediaSource, media: MediaReference) -> Json:
    """Return what Meta says of a medium: its address for five minutes, type, size and hash."""
    if media.provider_media_id is None:
        return {}
    if _MEDIA_ID.fullmatch(media.provider_media_id) is None:
        raise MediaError("refused", "no media id")
    url = (source.api_url / media.provider_media_id).with_query(phone_number_id=source.phone_number_id)
    content, _ = await _read(source, url, max_bytes=DESCRIPTION_BYTES_MAX)
    try:
        return as_object(orjson.loads(content))
    except orjson.JSONDecodeError:
        raise MediaError("unreachable", "an answer that cannot be read") from None


async def _read(source: MediaSource, url: URL, *, max_bytes: int) -> tuple[bytes, str]:
    """Return a body and its type, following redirects between allowed hosts only."""
    for _ in range(REDIRECTS_MAX + 1):
        try:
            async with source.http.get(
                url,
                headers={"Authorization": f"Bearer {source.token}", "Accept-Encoding": "identity"},
                allow_redirects=False,
                timeout=TIMEOUT,
            ) as response:
                if response.status in (301, 302, 303, 307, 308):
                    url = _allowed(response.headers.get("Location", ""), source.api_url, base=url)
                    continue
                return await _body(response, max_bytes=max_bytes), response.content_type
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise MediaError("unreachable", type(error).__name__) from None
    raise MediaError("refused", "too many redirects")


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


def _allowed(address: str, api_url: URL, *, base: URL | None = None) -> URL:
    try:
        url = URL(address) if base is None else base.join(URL(address))
    except ValueError:
        raise MediaError("refused", "no address") from None
    if not is_allowed(url, api_url):
        raise MediaError("refused", "a host that is not Meta's")
    return url


def _is_hash(promised: str, digest: bytes) -> bool:
    """Return whether a hash, in base64 as in webhooks or in hexadecimal digits, is the digest."""
    written = promised.strip().lower() if len(promised.strip()) == 64 else promised.strip()
    expected = digest.hex() if len(written) == 64 else base64.b64encode(digest).decode()
    return hmac.compare_digest(written.encode(), expected.encode())
