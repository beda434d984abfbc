"""WhatsApp by Meta's Cloud API: the only place that calls it."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

import aiohttp
import orjson
import structlog
from yarl import URL

from gateway.channels.base import (
    Acknowledgement,
    FetchedMedia,
    LineCredentials,
    MediaReference,
    Outbound,
    TextStyle,
)
from gateway.channels.whatsapp import markup
from gateway.channels.whatsapp.answers import read_answer
from gateway.channels.whatsapp.media import MediaSource, fetch_from
from gateway.db import transaction_is_open
from gateway.errors import MediaError, SendNotConnectedError, SendOutcomeUnknownError, SendRefusedError

SEND_TIMEOUT = aiohttp.ClientTimeout(total=20, connect=5)
TYPING_TIMEOUT = aiohttp.ClientTimeout(total=5)
ANSWER_BYTES_MAX = 65_536

log = structlog.get_logger(__name__)


class MetaChannel:
    """A `MessageChannel`: sends and fetches for any line; a line's own token goes before the default one."""

    looks_up = False

    def __init__(
        self,
        http: aiohttp.ClientSession,
        api_url: str,
        default_token: str | None,
        *,
        send_timeout: aiohttp.ClientTimeout = SEND_TIMEOUT,
    ) -> None:
        """`api_url` ends with the API's version."""
        self._send_timeout = send_timeout
        self._http = http
        self._api_url = URL(api_url.rstrip("/"))
        self._default_token = default_token

    async def send(self, line: LineCredentials, outbound: Outbound) -> Acknowledgement:
        url, token = self._endpoint(line)
        try:
            async with self._http.post(
                url,
                data=orjson.dumps(_text_message(outbound)),
                headers=_headers(token),
                allow_redirects=False,
                timeout=self._send_timeout,
            ) as response:
                return read_answer(
                    response.status, await _body(response), retry_after=response.headers.get("Retry-After")
                )
        # Connecting failed, so nothing was written. Every other break comes after the request had begun to leave.
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise SendNotConnectedError(type(error).__name__) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SendOutcomeUnknownError(type(error).__name__) from None

    async def show_typing(self, line: LineCredentials, *, provider_id: str) -> None:
        try:
            url, token = self._endpoint(line)
            async with self._http.post(
                url,
                data=orjson.dumps(_typing(provider_id)),
                headers=_headers(token),
                allow_redirects=False,
                timeout=TYPING_TIMEOUT,
            ) as response:
                if response.status >= 400:
                    log.info("typing_not_shown", line_id=str(line.line_id), status=response.status)
        except (SendRefusedError, aiohttp.ClientError, TimeoutError, OSError) as error:
            log.info("typing_not_shown", line_id=str(line.line_id), error=type(error).__name__)

    async def fetch_media(self, line: LineCredentials, media: MediaReference, *, max_bytes: int) -> FetchedMedia:
        return await fetch_from(self._source(line), media, max_bytes=max_bytes)

    async def find_sent(
        self, line: LineCredentials, outbound: Outbound, *, since: datetime, known: Collection[str] = ()
    ) -> Acknowledgement | None:
        del known
        raise LookupError(f"Meta answers no questions about message {outbound.message_id} of {since} on {line.line_id}")

    def compose(self, text: str, style: TextStyle) -> tuple[str, ...]:
        del style  # messages cost the same, whatever is in them
        return markup.compose(text)

    def fits(self, text: str, style: TextStyle) -> bool:
        del text, style  # another part costs nothing
        return True

    def billed_units(self, text: str) -> int:
        return 1 if text else 0

    def shorten(
        self, parts: tuple[str, ...], *, max_tokens: int, count_tokens: Callable[[str], int]
    ) -> tuple[str, ...]:
        return markup.shorten(parts, max_tokens=max_tokens, count_tokens=count_tokens)

    def _source(self, line: LineCredentials) -> MediaSource:
        _check_no_transaction()
        token = line.access_token or self._default_token
        if not token or not line.provider_line_id:
            raise MediaError("refused", "the line has no access token or no phone_number_id")
        return MediaSource(http=self._http, api_url=self._api_url, phone_number_id=line.provider_line_id, token=token)

    def _endpoint(self, line: LineCredentials) -> tuple[URL, str]:
        """Return where a line's messages go and the token for it. Raises SendRefusedError if it lacks one of them."""
        _check_no_transaction()
        token = line.access_token or self._default_token
        if not token:
            raise SendRefusedError("no_access_token", "the line has no access token", channel_down=True)
        if not line.provider_line_id:
            raise SendRefusedError("no_phone_number_id", "the line has no phone_number_id", channel_down=True)
        return self._api_url / line.provider_line_id / "messages", token


def _check_no_transaction() -> None:
    if transaction_is_open():
        raise AssertionError("a vendor is never awaited inside a transaction")


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Return an answer's beginning: what is longer than any of Meta's answers is somebody's page."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            break
    return bytes(body)


def _headers(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def _text_message(outbound: Outbound) -> Mapping[str, object]:
    """Return a text as Meta takes it: `to` for numbers, with the plus sign, and `recipient` for its own ids."""
    addressee = "to" if outbound.to.kind == "phone" else "recipient"
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        addressee: outbound.to.value,
        "type": "text",
        "text": {"body": outbound.text, "preview_url": False},
        "biz_opaque_callback_data": str(outbound.message_id),
    }


def _typing(provider_id: str) -> Mapping[str, object]:
    """Return what marks a message read and shows that an answer is being written, for up to 25 seconds."""
    return {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": provider_id,
        "typing_indicator": {"type": "text"},
    }
