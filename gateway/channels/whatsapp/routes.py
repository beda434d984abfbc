"""Meta's webhook: verified on the raw bytes, read, stored, answered. Everything else happens later."""

import hmac
from collections.abc import Mapping

import structlog
from aiohttp import web

from gateway.channels.receiving import UNREACHABLE, Accept, Count, read_body, uncounted
from gateway.channels.whatsapp import signature
from gateway.channels.whatsapp.payloads import parse

PATH = "/webhooks/whatsapp"
PROVIDER = "meta"
OUTCOMES: Mapping[int, str] = {200: "accepted", 401: "unsigned", 413: "too_large", 503: "not_stored"}

log = structlog.get_logger(__name__)


def routes(
    *,
    accept: Accept,
    app_secret: str | None,
    verify_token: str | None,
    body_max: int,
    count: Count = uncounted,
) -> list[web.RouteDef]:
    """Return the two routes. Without a secret or a token, nothing is ever accepted on theirs."""
    if not app_secret:
        log.error("whatsapp_webhooks_refused", missing="WHATSAPP_APP_SECRET")
    if not verify_token:
        log.warning("whatsapp_verification_refused", missing="WHATSAPP_VERIFY_TOKEN")

    async def verify(request: web.Request) -> web.Response:
        return _verify(request, verify_token or "")

    async def receive(request: web.Request) -> web.Response:
        response = await _receive(request, accept=accept, app_secret=app_secret or "", body_max=body_max)
        count(PROVIDER, OUTCOMES[response.status])
        return response

    return [web.get(PATH, verify, allow_head=False), web.post(PATH, receive)]


def _verify(request: web.Request, verify_token: str) -> web.Response:
    """Answer Meta's question whether this address is ours: the challenge as it came, if it knows the token."""
    given = request.query.get("hub.verify_token", "")
    knows_token = hmac.compare_digest(given.encode("utf-8", "surrogatepass"), verify_token.encode())
    if request.query.get("hub.mode") != "subscribe" or not verify_token or not knows_token:
        return web.Response(status=403, text="Forbidden")
    return web.Response(text=request.query.get("hub.challenge", ""))


async def _receive(request: web.Request, *, accept: Accept, app_secret: str, body_max: int) -> web.Response:
    """Answer 200 once everything is stored, 503 if the provider is to try again."""
    body = await read_body(request, body_max)
    if body is None:
        return web.Response(status=413, text="Too large")
    if not signature.is_valid(body, request.headers.get(signature.HEADER), app_secret):
        log.warning("webhook_signature_invalid", provider=PROVIDER, bytes=len(body))
        return web.Response(status=401, text="Invalid signature")
    events, malformed = parse(body)
    try:
        await accept(PROVIDER, events, malformed, body)
    except UNREACHABLE as error:
        log.error("webhook_not_stored", provider=PROVIDER, error=type(error).__name__)  # noqa: TRY400 - says it all
        return web.Response(status=503, text="Try again later", headers={"Retry-After": "30"})
    return web.Response(text="OK")
