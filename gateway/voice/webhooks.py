"""What Twilio asks and tells about calls, once it is certain that it is Twilio: over the public address, never Host."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import structlog
from aiohttp import web

from gateway.channels.receiving import read_body
from gateway.channels.twilio_forms import Fields, Form, fields_of
from gateway.services import Services
from gateway.settings import Settings
from gateway.twilio import signature
from gateway.web import problem

FORM_TYPE: Final = "application/x-www-form-urlencoded"
FIELDS_MAX: Final = 1_000
SOCKET_SCHEMES: Final = {"https": "wss", "http": "ws"}
PORTS: Final = {"https": 443, "http": 80}

log = structlog.get_logger(__name__)


async def signed_fields(services: Services, request: web.Request) -> Fields | web.Response:
    """Return the fields of a signed form of our account; else the answer that refuses it."""
    body = await read_body(request, services.limits.webhook_bytes)
    if body is None:
        return _refused(services, "too_large", problem(413, "body_too_large", "The body is longer than any webhook."))
    form = _form(request, body)
    settings, fields = services.settings, fields_of(form)
    signed = _is_signed(settings, request, settings.public_url + request.raw_path, form=form, body=body)
    # One secret may sign for several accounts; only ours has lines here.
    if not signed or not settings.twilio_account_sid or fields.get("AccountSid") != settings.twilio_account_sid:
        detail = "The request is not signed by Twilio for this address and account."
        return _refused(services, "unsigned", problem(403, "invalid_signature", detail))
    return fields


def is_signed_upgrade(settings: Settings, request: web.Request) -> bool:
    """Return whether Twilio asks for this socket; it signs the address it was given, in one way of writing it."""
    return any(_is_signed(settings, request, url) for url in upgrade_urls(settings.public_url, request.raw_path))


def upgrade_urls(public_url: str, path: str) -> Iterator[str]:
    """Yield the ways in which the address of a socket may have been signed: by either scheme, with the port or not."""
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    port = parts.port or PORTS[parts.scheme]
    for scheme in (SOCKET_SCHEMES[parts.scheme], parts.scheme):
        yield f"{scheme}://{parts.netloc}{parts.path}{path}"
        yield f"{scheme}://{host}:{port}{parts.path}{path}"
        yield f"{scheme}://{host}{parts.path}{path}"


def socket_url(public_url: str, path: str) -> str:
    """Return the address of a socket of ours, as Twilio is told it (pure)."""
    parts = urlsplit(public_url)
    return f"{SOCKET_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path}{path}"


def _is_signed(settings: Settings, request: web.Request, url: str, *, form: Form = (), body: bytes = b"") -> bool:
    return signature.is_signed(
        url=url,
        form=form,
        body=body,
        header=request.headers.get(signature.HEADER),
        settings_header=request.headers.get(signature.SETTINGS_HEADER),
        auth_token=settings.twilio_auth_token,
        shared_keys=settings.twilio_webhook_keys,
    )


def _form(request: web.Request, body: bytes) -> Form:
    """Return every pair of a form in its order, blank values too; nothing for any other body."""
    if request.content_type != FORM_TYPE:
        return []
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:  # bytes that no form has, or fields without an end
        return []


def _refused(services: Services, outcome: str, answer: web.Response) -> web.Response:
    services.metrics.webhooks.labels("twilio", outcome).inc()
    log.warning("webhook_refused", provider="twilio", outcome=outcome)
    return answer
