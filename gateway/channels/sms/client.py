"""SMS by Twilio: sends and fetches for any line; the account is the installation's."""

from collections.abc import Callable, Collection
from datetime import datetime

from gateway.channels.base import (
    Acknowledgement,
    FetchedMedia,
    LineCredentials,
    MediaReference,
    Outbound,
    TextStyle,
)
from gateway.channels.sms import composing
from gateway.twilio import messages
from gateway.twilio.media import fetch_file
from gateway.twilio.messages import Text
from gateway.twilio.rest import TwilioRest

# Said with every message, whatever an account's default is. The text has been smart-encoded before it was counted, so
# that Twilio finds nothing left to replace.
SMART_ENCODED = [("SmartEncoded", "true")]


class TwilioSmsChannel:
    """A `MessageChannel`. Without an account every send is refused, and the channel is said to be down."""

    looks_up = True

    def __init__(self, rest: TwilioRest | None, public_url: str) -> None:
        """`public_url` is where Twilio reports to."""
        self._rest = rest
        self._public_url = public_url.rstrip("/")

    async def send(self, line: LineCredentials, outbound: Outbound) -> Acknowledgement:
        sent = await messages.create(self._rest, _text(line, outbound), public_url=self._public_url, more=SMART_ENCODED)
        return Acknowledgement(provider_id=sent.sid, segments=sent.segments)

    async def find_sent(
        self, line: LineCredentials, outbound: Outbound, *, since: datetime, known: Collection[str] = ()
    ) -> Acknowledgement | None:
        sent = await messages.find(self._rest, _text(line, outbound), since=since, known=known)
        return None if sent is None else Acknowledgement(provider_id=sent.sid, segments=sent.segments)

    async def show_typing(self, line: LineCredentials, *, provider_id: str) -> None:
        """Do nothing: phones show nothing of the kind for SMS."""

    async def fetch_media(self, line: LineCredentials, media: MediaReference, *, max_bytes: int) -> FetchedMedia:
        del line  # one account for all
        file = await fetch_file(self._rest, media.url, max_bytes=max_bytes)
        return FetchedMedia(mime_type=media.mime_type or file.mime_type, content=file.content, sha256=file.sha256)

    def compose(self, text: str, style: TextStyle) -> tuple[str, ...]:
        return composing.compose(text, style)

    def fits(self, text: str, style: TextStyle) -> bool:
        return composing.fits(text, style)

    def billed_units(self, text: str) -> int:
        return composing.billed_segments(text)

    def shorten(
        self, parts: tuple[str, ...], *, max_tokens: int, count_tokens: Callable[[str], int]
    ) -> tuple[str, ...]:
        return composing.shorten(parts, max_tokens=max_tokens, count_tokens=count_tokens)


def _text(line: LineCredentials, outbound: Outbound) -> Text:
    return Text(message_id=outbound.message_id, sender=line.number, to=outbound.to.value, body=outbound.text)
