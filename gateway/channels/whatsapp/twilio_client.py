"""WhatsApp by Twilio's senders: the second provider of the same channel."""

from collections.abc import Callable, Collection
from datetime import datetime

import aiohttp
import structlog

from gateway.channels.base import (
    Acknowledgement,
    FetchedMedia,
    LineCredentials,
    MediaReference,
    Outbound,
    TextStyle,
)
from gateway.channels.whatsapp import markup
from gateway.twilio import messages
from gateway.twilio.media import fetch_file
from gateway.twilio.messages import Text
from gateway.twilio.rest import Accepted, TwilioRest

CHARS_MAX = 1_600  # of a message, by Twilio; Meta would take more
TYPING_PATH = "v2/Indicators/Typing.json"
TYPING_TIMEOUT = aiohttp.ClientTimeout(total=5)

log = structlog.get_logger(__name__)


class TwilioWhatsAppChannel:
    """A `MessageChannel`. Without an account every send is refused, and the channel is said to be down."""

    looks_up = True

    def __init__(self, rest: TwilioRest | None, public_url: str) -> None:
        """`public_url` is where Twilio reports to."""
        self._rest = rest
        self._public_url = public_url.rstrip("/")

    async def send(self, line: LineCredentials, outbound: Outbound) -> Acknowledgement:
        sent = await messages.create(self._rest, _text(line, outbound), public_url=self._public_url)
        return Acknowledgement(provider_id=sent.sid)

    async def find_sent(
        self, line: LineCredentials, outbound: Outbound, *, since: datetime, known: Collection[str] = ()
    ) -> Acknowledgement | None:
        sent = await messages.find(self._rest, _text(line, outbound), since=since, known=known)
        return None if sent is None else Acknowledgement(provider_id=sent.sid)

    async def show_typing(self, line: LineCredentials, *, provider_id: str) -> None:
        if self._rest is None:
            return
        form = [("channel", "whatsapp"), ("messageId", provider_id)]
        answer = await self._rest.post_messaging(TYPING_PATH, form, timeout=TYPING_TIMEOUT)
        if not isinstance(answer, Accepted):
            log.info("typing_not_shown", line_id=str(line.line_id), error=type(answer).__name__)

    async def fetch_media(self, line: LineCredentials, media: MediaReference, *, max_bytes: int) -> FetchedMedia:
        del line  # one account for all
        file = await fetch_file(self._rest, media.url, max_bytes=max_bytes)
        return FetchedMedia(mime_type=media.mime_type or file.mime_type, content=file.content, sha256=file.sha256)

    def compose(self, text: str, style: TextStyle) -> tuple[str, ...]:
        del style  # messages cost the same, whatever is in them
        return markup.compose(text, chars_max=CHARS_MAX)

    def fits(self, text: str, style: TextStyle) -> bool:
        del text, style  # another part costs nothing
        return True

    def billed_units(self, text: str) -> int:
        return 1 if text else 0

    def shorten(
        self, parts: tuple[str, ...], *, max_tokens: int, count_tokens: Callable[[str], int]
    ) -> tuple[str, ...]:
        return markup.shorten(parts, max_tokens=max_tokens, count_tokens=count_tokens)


def _text(line: LineCredentials, outbound: Outbound) -> Text:
    """Return a text between WhatsApp addresses; a customer without a number has Meta's id in its place."""
    return Text(
        message_id=outbound.message_id,
        sender=f"whatsapp:{line.number}",
        to=f"whatsapp:{outbound.to.value}",
        body=outbound.text,
    )
