"""Twilio's addresses for calls: who answers, how they go on, and the socket that carries one."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from aiohttp import WSCloseCode, web

from gateway.channels.receiving import UNREACHABLE
from gateway.channels.twilio_forms import Fields
from gateway.services import Services
from gateway.twilio import twiml
from gateway.voice import addresses, call_store, recording
from gateway.voice.addresses import TENANT, id_of
from gateway.voice.answering import Voice
from gateway.voice.arrival.arriving import arrive
from gateway.voice.arrival.connecting import RELAY
from gateway.voice.ending import call_told
from gateway.voice.legs.dialled import dialled, leg_told, whisper
from gateway.voice.relay.session import run_relay
from gateway.voice.session import run_media
from gateway.voice.webhooks import is_signed_upgrade, signed_fields
from gateway.web import problem

FRAME_BYTES_MAX: Final = 256 * 1024  # Twilio's are some 250 bytes
CLOSE_S: Final = 2.0  # a line that is dead answers no goodbye
RETRY_AFTER_S: Final = "5"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LegAnswer = Callable[[Voice, UUID, UUID, int, Fields], Awaitable[str]]

log = structlog.get_logger(__name__)


def routes(services: Services, voice: Voice, *, stopping: Callable[[], bool]) -> list[web.RouteDef]:
    """Return the routes of phone calls. While `stopping`, calls that ring are left to another process."""

    async def ring(request: web.Request) -> web.StreamResponse:
        # A redirect would lead back here: with 503, Twilio turns to the number's fallback address.
        if stopping():
            return _unavailable(services, "draining")
        return await _signed(services, request, partial(arrive, voice))

    async def told(request: web.Request) -> web.StreamResponse:
        return await _signed(services, request, partial(call_told, voice))

    async def media(request: web.Request) -> web.StreamResponse:
        return await _connect(voice, request)

    def of_leg(answer: LegAnswer) -> Handler:
        return partial(_answer_of_leg, voice, answer)

    leg = "{call_id}/{leg:[0-9]{1,6}}"
    return [
        web.post(addresses.VOICE, ring),
        web.post(addresses.STATUS, told),
        web.post(f"{addresses.DIALLED}/{leg}", of_leg(dialled)),
        web.post(f"{addresses.WHISPER}/{leg}", of_leg(whisper)),
        web.post(f"{addresses.LEG_STATUS}/{leg}", of_leg(leg_told)),
        web.post(f"{addresses.RECORDING}/{{call_id}}", partial(_note_recorded, voice)),
        web.get(f"{addresses.MEDIA}/{{token}}", media),
    ]


async def _answer_of_leg(voice: Voice, answer: LegAnswer, request: web.Request) -> web.StreamResponse:
    named = _named(request)
    if named is None:
        return problem(404, "not_found", "There is no such call.")
    tenant_id, call_id = named
    leg = int(request.match_info["leg"])
    return await _signed(voice.services, request, partial(answer, voice, tenant_id, call_id, leg))


async def _note_recorded(voice: Voice, request: web.Request) -> web.StreamResponse:
    named = _named(request)
    if named is None:
        return problem(404, "not_found", "There is no such call.")
    tenant_id, call_id = named

    async def note(fields: Fields) -> str:
        await recording.note_recorded(voice.services, tenant_id, call_id, fields)
        return ""

    return await _signed(voice.services, request, note)


def _named(request: web.Request) -> tuple[UUID, UUID] | None:
    """Return the tenant and the call that an address of ours names."""
    tenant_id, call_id = id_of(request.query.get(TENANT, "")), id_of(request.match_info["call_id"])
    return None if tenant_id is None or call_id is None else (tenant_id, call_id)


async def _signed(
    services: Services, request: web.Request, answer: Callable[[Fields], Awaitable[str]]
) -> web.StreamResponse:
    """Answer a signed form with a document, or with nothing to be done; 503 if the database is away."""
    fields = await signed_fields(services, request)
    if isinstance(fields, web.Response):
        return fields
    try:
        document = await answer(fields)
    except UNREACHABLE as error:
        log.error("call_webhook_failed", error=type(error).__name__)  # noqa: TRY400 - says it all
        return _unavailable(services, "not_stored")
    services.metrics.webhooks.labels("twilio", "accepted").inc()
    if not document:
        return web.Response(status=204)
    return web.Response(text=document, content_type=twiml.MIME_TYPE)


async def _connect(voice: Voice, request: web.Request) -> web.StreamResponse:
    """Let a call's stream in: signed, and with a token that nobody has used; then pump it to its end."""
    services = voice.services
    if not is_signed_upgrade(services.settings, request):
        log.warning("stream_signature_invalid")
        return problem(403, "invalid_signature", "The request is not signed by Twilio for this address.")
    owner = await call_store.redeem_token(services, request.match_info["token"])
    if owner is None:
        log.warning("stream_token_invalid")
        return problem(403, "invalid_token", "The address of this call was used before, or is too old.")
    tenant_id, call_id = owner
    async with services.db.transaction(tenant_id) as connection:
        call = await call_store.load_call(connection, tenant_id, call_id, services.versions)
    # No compression of what is random, and no pings: Twilio answers none, and its own frames say that it is there.
    socket = web.WebSocketResponse(timeout=CLOSE_S, compress=False, max_msg_size=FRAME_BYTES_MAX)
    await socket.prepare(request)
    try:
        await (run_relay if call.engine == RELAY else run_media)(voice, call, socket)
    finally:
        voice.waiting.drop(call_id)
        if not socket.closed:
            await socket.close(code=WSCloseCode.OK)
    return socket


def _unavailable(services: Services, outcome: str) -> web.Response:
    services.metrics.webhooks.labels("twilio", outcome).inc()
    answer = problem(503, "unavailable", "No call can be taken here right now.")
    answer.headers["Retry-After"] = RETRY_AFTER_S
    return answer
