"""Media are fetched from Meta alone, whole, within the limit and as promised."""

import base64
import hashlib
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from gateway.channels.base import LineCredentials, MediaReference
from gateway.channels.whatsapp.client import MetaChannel
from gateway.channels.whatsapp.media import is_allowed
from gateway.db import Database
from gateway.errors import MediaError
from tests.gateway.channels.whatsapp.meta_server import MetaServer

CONTENT = bytes(range(256)) * 400  # more than one chunk
HASH = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
LINE = LineCredentials(line_id=UUID(int=1), number="+49", provider_line_id="1000001", access_token="line token")
IMAGE = MediaReference(kind="image", mime_type="image/jpeg", provider_media_id="media-1", sha256_base64=HASH)


def offer(meta: MetaServer, **described: object) -> None:
    meta.answer("/v23.0/media-1", {"url": f"{meta.url}/blob/1", "mime_type": "image/png", **described})
    meta.answer("/blob/1", CONTENT, headers={"Content-Type": "image/jpeg"})


def channel(meta: MetaServer, http: aiohttp.ClientSession) -> MetaChannel:
    return MetaChannel(http, f"{meta.url}/v23.0", None)


async def reason(meta: MetaServer, http: aiohttp.ClientSession, media: MediaReference = IMAGE) -> str:
    with pytest.raises(MediaError) as caught:
        await channel(meta, http).fetch_media(LINE, media, max_bytes=len(CONTENT))
    return caught.value.reason


async def test_media_come_by_the_address_that_meta_names(meta: MetaServer, http: aiohttp.ClientSession) -> None:
    offer(meta, file_size=len(CONTENT), sha256=HASH)
    fetched = await channel(meta, http).fetch_media(LINE, IMAGE, max_bytes=len(CONTENT))
    assert fetched.content == CONTENT
    assert fetched.mime_type == "image/png"
    assert fetched.sha256 == hashlib.sha256(CONTENT).digest()
    assert [path for path, _, _ in meta.asked] == ["/v23.0/media-1?phone_number_id=1000001", "/blob/1"]
    assert {headers["Authorization"] for _, headers, _ in meta.asked} == {"Bearer line token"}


async def test_an_address_in_the_webhook_is_enough(meta: MetaServer, http: aiohttp.ClientSession) -> None:
    offer(meta)
    media = MediaReference(kind="image", mime_type="image/jpeg", url=f"{meta.url}/blob/1")
    assert (await channel(meta, http).fetch_media(LINE, media, max_bytes=len(CONTENT))).content == CONTENT


async def test_what_is_announced_too_large_is_not_fetched(meta: MetaServer, http: aiohttp.ClientSession) -> None:
    offer(meta, file_size=len(CONTENT) + 1)
    assert await reason(meta, http) == "too_large"
    assert len(meta.asked) == 1


async def test_what_turns_out_too_large_is_not_read_to_its_end(meta: MetaServer, http: aiohttp.ClientSession) -> None:
    offer(meta)
    meta.answer("/blob/1", CONTENT + b"!")
    assert await reason(meta, http) == "too_large"

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1_000):
            await response.write(CONTENT)
        return response

    meta.answers["/blob/1"] = endless
    assert await reason(meta, http) == "too_large"


@pytest.mark.parametrize("promised", [HASH, hashlib.sha256(CONTENT).hexdigest(), HASH + "\n"])
async def test_the_hash_may_be_written_either_way(meta: MetaServer, http: aiohttp.ClientSession, promised: str) -> None:
    offer(meta, sha256=promised)
    media = MediaReference(kind="image", mime_type="image/jpeg", provider_media_id="media-1")
    assert (await channel(meta, http).fetch_media(LINE, media, max_bytes=len(CONTENT))).content == CONTENT


@pytest.mark.parametrize("promised", ["x", base64.b64encode(bytes(32)).decode(), "0" * 64, "ü" * 44])
async def test_other_bytes_than_promised_are_refused(
    meta: MetaServer, http: aiohttp.ClientSession, promised: str
) -> None:
    offer(meta)
    media = MediaReference(kind="image", mime_type="image/jpeg", provider_media_id="media-1", sha256_base64=promised)
    assert await reason(meta, http, media) == "hash_mismatch"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, "expired"), (401, "refused"), (403, "refused"), (404, "expired"), (410, "expired"), (503, "unreachable")],
)
async def test_a_status_says_why_there_are_no_media(
    meta: MetaServer, http: aiohttp.ClientSession, status: int, expected: str
) -> None:
    offer(meta)
    meta.answer("/blob/1", b"", status=status)
    assert await reason(meta, http) == expected
    meta.answer("/v23.0/media-1", {"error": {"code": 100}}, status=status)
    assert await reason(meta, http) == expected


@pytest.mark.parametrize("described", [b"<html>", b"[]", b"{}"])
async def test_a_description_without_an_address_leads_nowhere(
    meta: MetaServer, http: aiohttp.ClientSession, described: bytes
) -> None:
    meta.answer("/v23.0/media-1", described)
    assert await reason(meta, http) in ("unreachable", "expired")


@pytest.mark.parametrize(
    "address", ["http://localhost:1/x", "https://evil.example/x", "file:///etc/passwd", "/blob/1", "http://[::1", "x y"]
)
async def test_the_token_goes_nowhere_else(meta: MetaServer, http: aiohttp.ClientSession, address: str) -> None:
    offer(meta, url=address)
    assert await reason(meta, http) == "refused"
    assert len(meta.asked) == 1


async def test_a_redirect_is_followed_between_allowed_hosts_only(meta: MetaServer, http: aiohttp.ClientSession) -> None:
    offer(meta)
    meta.answer("/blob/0", b"", status=302, headers={"Location": "/blob/1"})
    media = MediaReference(kind="image", mime_type="image/jpeg", url=f"{meta.url}/blob/0")
    assert (await channel(meta, http).fetch_media(LINE, media, max_bytes=len(CONTENT))).content == CONTENT
    meta.answer("/blob/0", b"", status=302, headers={"Location": "https://evil.example/"})
    assert await reason(meta, http, media) == "refused"
    meta.answer("/blob/0", b"", status=302, headers={"Location": "/blob/0"})
    assert await reason(meta, http, media) == "refused"


@pytest.mark.parametrize("media_id", ["../1000001/messages", "a/b", "", "x?y", "ü"])
async def test_an_id_that_is_a_path_is_refused(meta: MetaServer, http: aiohttp.ClientSession, media_id: str) -> None:
    assert await reason(meta, http, MediaReference(kind="image", mime_type="", provider_media_id=media_id)) == "refused"
    assert meta.asked == []


async def test_nobody_listening_is_unreachable(http: aiohttp.ClientSession) -> None:
    with pytest.raises(MediaError) as caught:
        await MetaChannel(http, "http://127.0.0.1:1/v23.0", "t").fetch_media(LINE, IMAGE, max_bytes=10)
    assert caught.value.reason == "unreachable"


async def test_a_line_without_a_token_fetches_nothing(http: aiohttp.ClientSession) -> None:
    line = LineCredentials(line_id=UUID(int=1), number="+49", provider_line_id="1000001", access_token=None)
    with pytest.raises(MediaError) as caught:
        await MetaChannel(http, "http://127.0.0.1:1", None).fetch_media(line, IMAGE, max_bytes=10)
    assert caught.value.reason == "refused"


async def test_media_are_not_fetched_inside_a_transaction(
    meta: MetaServer, http: aiohttp.ClientSession, db: Database
) -> None:
    async with db.transaction(UUID(int=1)):
        with pytest.raises(AssertionError):
            await channel(meta, http).fetch_media(LINE, IMAGE, max_bytes=10)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", True),
        ("https://mmg.whatsapp.net/x", True),
        ("https://scontent.facebook.com/x", True),
        ("https://graph.facebook.com/x", True),
        ("http://lookaside.fbsbx.com/x", False),
        ("http://lookaside.fbsbx.com:443/x", False),
        ("https://lookaside.fbsbx.com:8443/x", False),
        ("https://lookaside.fbsbx.com@evil.example/x", False),
        ("https://evil.example/?lookaside.fbsbx.com", False),
        ("https://evilfbsbx.com/x", False),
        ("https://fbsbx.com.evil.example/x", False),
        ("https://lookaside.fbsbx.com.", False),
        ("", False),
    ],
)
def test_only_metas_hosts_are_allowed(address: str, *, expected: bool) -> None:
    assert is_allowed(URL(address), URL("https://graph.facebook.com/v23.0")) is expected
