"""Texts through Twilio's Messages: sent once, and found again when nobody learned whether they were.

A text is never sent twice from here. Twilio keeps no id of ours with a message, so one whose answer was lost is found
by what it says.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

from gateway.errors import SendOutcomeUnknownError, SendRefusedError
from gateway.twilio.failures import code_error, send_error
from gateway.twilio.rest import Accepted, Form, Json, TwilioRest

PATH = "Messages.json"
PAGE_SIZE = 200
PAGES_MAX = 5
CLOCKS_APART = timedelta(seconds=5)  # between us and Twilio, whose times have no fractions of a second

TRIAL_PREFIX = (
    "Sent from your Twilio trial account - "  # what Twilio puts before each text until an account is paid for
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A text that Twilio has: its sid, and how many segments it bills, None while it does not say."""

    sid: str
    segments: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text from one of our addresses to a contact's; on WhatsApp both begin with "whatsapp:"."""

    message_id: UUID
    sender: str
    to: str
    body: str


def required(rest: TwilioRest | None) -> TwilioRest:
    """Return the account. Raises SendRefusedError if this installation has none."""
    if rest is None:
        raise SendRefusedError(
            "no_twilio_account", "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN are not set", channel_down=True
        )
    return rest


async def create(rest: TwilioRest | None, text: Text, *, public_url: str, more: Form = ()) -> Sent:
    """Send a text; its reports come with our own id. Raises a SendError."""
    callback = f"{public_url}/webhooks/twilio/status?mid={text.message_id}"
    form = [("To", text.to), ("From", text.sender), ("Body", text.body), ("StatusCallback", callback), *more]
    answer = await required(rest).post(PATH, form)
    if not isinstance(answer, Accepted):
        raise send_error(answer)
    sid = answer.body.get("sid")
    if not isinstance(sid, str) or not sid:
        raise SendOutcomeUnknownError("accepted, without a sid")
    return Sent(sid=sid, segments=_segments(answer.body))


async def find(rest: TwilioRest | None, text: Text, *, since: datetime, known: Collection[str] = ()) -> Sent | None:
    """Return a text of whose sending no answer came, None if Twilio never took it.

    Raises SendOutcomeUnknownError if Twilio cannot be asked; if it took the text and failed to send it, the error of
    that.
    """
    listed = [one async for one in _listed(required(rest), text, since=since) if one.get("sid") not in known]
    found = chosen(listed, text, since=since)
    if found is None:
        return None
    if found.get("status") == "failed":
        code = found.get("error_code")
        words = "Twilio took it and failed to send it"
        raise code_error(code, words) if isinstance(code, int) else SendRefusedError("failed", words)
    return Sent(sid=str(found.get("sid")), segments=_segments(found))


def chosen(listed: list[Json], text: Text, *, since: datetime) -> Json | None:
    """Return the message among those of a pair that a send begun at `since` can have become (pure).

    Of several with the same words it is the first from `since` on: whatever was sent later has had its own send.
    Before that, only as far back as clocks may be apart, it is the last one.
    """
    alike = sorted(
        (
            (at, at_place, message)
            for at_place, message in enumerate(listed)
            if message.get("direction") == "outbound-api" and _says(message, text.body)
            if (at := created_at(message)) is not None and at >= since - CLOCKS_APART
        ),
        key=lambda one: (one[0], -one[1]),
    )
    begun = since.replace(microsecond=0)
    after = [message for at, _, message in alike if at >= begun]
    before = [message for at, _, message in alike if at < begun]
    return next(iter(after), None) or next(reversed(before), None)


def _says(message: Json, body: str) -> bool:
    return str(message.get("body", "")).removeprefix(TRIAL_PREFIX).strip() == body.strip()


def created_at(message: Json) -> datetime | None:
    """Return when Twilio took a message (pure)."""
    try:
        at = parsedate_to_datetime(str(message.get("date_created")))
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


async def _listed(rest: TwilioRest, text: Text, *, since: datetime) -> AsyncIterator[Json]:
    """Yield the pair's messages, newest first, until they are older than `since`.

    Not asked for by DateSent: a message that still waits at Twilio has none, and must not be taken for lost.
    """
    query = [("To", text.to), ("From", text.sender), ("PageSize", str(PAGE_SIZE))]
    answer = await rest.get(PATH, query)
    for _ in range(PAGES_MAX):
        if not isinstance(answer, Accepted):
            raise SendOutcomeUnknownError(f"the look-up failed ({type(answer).__name__})")
        messages = list(_objects(answer.body.get("messages")))
        for message in messages:
            yield message
        following = answer.body.get("next_page_uri")
        if not isinstance(following, str) or not following or _all_older(messages, since - CLOCKS_APART):
            return
        answer = await rest.get_page(following)


def _all_older(messages: list[Json], than: datetime) -> bool:
    return all((at := created_at(message)) is not None and at < than for message in messages)


def _objects(value: object) -> Iterator[Json]:
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())


def _segments(message: Json) -> int | None:
    """Return what Twilio bills; "0" is what it says before it knows."""
    said = str(message.get("num_segments") or "")
    return (int(said) or None) if said.isascii() and said.isdigit() else None
