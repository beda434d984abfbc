"""Twilio's webhooks about messages: verified over the public address, read, stored, answered. All else comes later.

SMS and WhatsApp come to the same two addresses; a `whatsapp:` before a number tells them apart.
"""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl
from uuid import UUID

import structlog
from aiohttp import web

from gateway.channels.base import LineEvent, Malformed
from gateway.channels.receiving import UNREACHABLE, Accept, Count, read_body, uncounted
from gateway.channels.sms import payloads as sms
from gateway.channels.twilio_forms import WHATSAPP, Fields, Form, fields_of
from gateway.channels.whatsapp import twilio_payloads as whatsapp
from gateway.twilio import signature
from gateway.web import problem

MESSAGES_PATH: Final = "/webhooks/twilio/messages"
STATUS_PATH: Final = "/webhooks/twilio/status"
OUR_ID: Final = "mid"  # in a status callback's query: our own id of the message
PROVIDER: Final = "twilio"
OUTCOMES: Final[Mapping[int, str]] = {
    200: "accepted",
    204: "accepted",
    403: "unsigned",
    413: "too_large",
    503: "not_stored",
}
FORM_TYPE: Final = "application/x-www-form-urlencoded"
FIELDS_MAX: Final = 1_000  # Twilio sends some thirty

Parse = Callable[[Form, web.Request], tuple[list[LineEvent], list[Malformed]]]
IsTwilios = Callable[[web.Request, Form, bytes], bool]

log = structlog.get_logger(__name__)


def routes(
    *,
    accept: Accept,
    account_sid: str | None,
    auth_token: str | None,
    shared_keys: Mapping[str, str],
    public_url: str,
    body_max: int,
    count: Count = uncounted,
) -> list[web.RouteDef]:
    """Return the two routes. Without an account and a secret nothing is ever accepted on them.

    `public_url` is what Twilio was told to call, with the prefix of a path if a proxy takes one away.
    """
    has_secret = bool(auth_token or shared_keys)
    if has_secret != bool(account_sid):
        missing = "TWILIO_ACCOUNT_SID" if has_secret else "TWILIO_AUTH_TOKEN"
        log.error("twilio_webhooks_refused", missing=missing)

    def is_twilios(request: web.Request, form: Form, body: bytes) -> bool:
        signed = signature.is_signed(
            url=public_url + request.raw_path,
            form=form,
            body=body,
            header=request.headers.get(signature.HEADER),
            settings_header=request.headers.get(signature.SETTINGS_HEADER),
            auth_token=auth_token,
            shared_keys=shared_keys,
        )
        # One secret may sign for several accounts; only ours has lines here.
        return signed and bool(account_sid) and fields_of(form).get("AccountSid") == account_sid

    async def receive(request: web.Request, parse: Parse, done: web.Response) -> web.Response:
        response = await _receive(request, is_twilios, parse, accept=accept, body_max=body_max) or done
        count(PROVIDER, OUTCOMES[response.status])
        return response

    async def messages(request: web.Request) -> web.Response:
        # Answered with nothing to say: the reply goes out by REST, once it is paid for.
        return await receive(request, _read_message, web.Response(text="<Response/>", content_type="text/xml"))

    async def status(request: web.Request) -> web.Response:
        return await receive(request, _read_status, web.Response(status=204))

    return [web.post(MESSAGES_PATH, messages), web.post(STATUS_PATH, status)]


async def _receive(
    request: web.Request, is_twilios: IsTwilios, parse: Parse, *, accept: Accept, body_max: int
) -> web.Response | None:
    """Return why a webhook is not accepted, or None once everything is stored."""
    body = await read_body(request, body_max)
    if body is None:
        return problem(413, "body_too_large", "The body is longer than any webhook.")
    form = _form(request, body)
    if not is_twilios(request, form, body):
        log.warning("webhook_signature_invalid", provider=PROVIDER, bytes=len(body))
        return problem(403, "invalid_signature", "The request is not signed by Twilio for this address and account.")
    events, malformed = parse(form, request)
    try:
        await accept(PROVIDER, events, malformed, body)
    except UNREACHABLE as error:
        log.error("webhook_not_stored", provider=PROVIDER, error=type(error).__name__)  # noqa: TRY400 - says it all
        answer = problem(503, "database_unavailable", "The database cannot be reached. Try again in a moment.")
        answer.headers["Retry-After"] = "30"
        return answer
    return None


def _form(request: web.Request, body: bytes) -> Form:
    """Return every pair of a form in its order, blank values too; nothing for any other body."""
    if request.content_type != FORM_TYPE:
        return []
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:  # bytes that no form has, or fields without an end
        return []


def _read_message(form: Form, request: web.Request) -> tuple[list[LineEvent], list[Malformed]]:
    del request
    if _is_whatsapp(fields_of(form)):
        return whatsapp.parse_message(form)
    return sms.parse_message(form)


def _read_status(form: Form, request: web.Request) -> tuple[list[LineEvent], list[Malformed]]:
    our_id = _our_id(request.query.get(OUR_ID, ""))
    if _is_whatsapp(fields_of(form)):
        return whatsapp.parse_status(form, our_id)
    return sms.parse_status(form, our_id)


def _is_whatsapp(fields: Fields) -> bool:
    return any(fields.get(name, "").startswith(WHATSAPP) for name in ("From", "To"))


def _our_id(text: str) -> UUID | None:
    """Return the id that our callback's address carries; anything else in its place is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
