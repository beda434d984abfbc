"""Pictures and voice notes of a turn: fetched once, hash-checked, transcribed, and told to the agent if that failed.

No vendor is awaited inside a transaction: stored media are read first, what is missing is fetched, and the
outcome, good or bad, is written last, so that a failed transcription is not paid for again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from agents.errors import ModelError
from agents.model import Image
from agents.texts import Language
from gateway.channels.base import FetchedMedia, LineCredentials, MediaReference, MessageChannel
from gateway.errors import MediaError
from gateway.ogg import opus_duration_s
from gateway.safe_text import safe_text
from gateway.services import Services
from gateway.turn_scene import TurnMessage
from metering.connection import Connection

FETCHED_KINDS = frozenset({"image", "voice_note"})

_NOT_HAD: Mapping[str, Mapping[Language, str]] = {
    "image": {"de": "[Bild, konnte nicht geladen werden]", "en": "[picture, could not be loaded]"},
    "voice_note": {
        "de": "[Sprachnachricht, konnte nicht abgehört werden]",
        "en": "[voice message, could not be listened to]",
    },
    "too_long": {
        "de": "[Sprachnachricht, zu lang: höchstens 5 Minuten]",
        "en": "[voice message, too long: 5 minutes at most]",
    },
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """One stored piece of media. `failure` says why the agent cannot have it."""

    message_id: UUID
    position: int
    kind: str
    mime_type: str
    failure: str | None
    sha256: bytes | None
    content: bytes | None
    transcript: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Missing:
    message_id: UUID
    position: int
    reference: MediaReference


async def media_of(
    services: Services,
    tenant_id: UUID,
    channel: MessageChannel,
    line: LineCredentials,
    messages: Sequence[TurnMessage],
    *,
    language: Language,
) -> Mapping[UUID, Sequence[Medium]]:
    """Return the media of a turn's messages; what its new messages lack is fetched now."""
    with_media = [message for message in messages if message.content.get("media")]
    if not with_media:
        return {}
    async with services.db.transaction(tenant_id) as connection:
        stored = await _stored(connection, tenant_id, with_media)
    known = {(medium.message_id, medium.position) for medium in stored}
    missing = [
        wanted
        for message in with_media
        if message.unanswered
        for wanted in _wanted(message)
        if (wanted.message_id, wanted.position) not in known
    ]
    if missing:
        fetched = await asyncio.gather(*(_fetch(services, channel, line, wanted, language) for wanted in missing))
        async with services.db.transaction(tenant_id) as connection:
            await _store(connection, tenant_id, fetched, services)
        stored = [*stored, *fetched]
    by_message: dict[UUID, list[Medium]] = {}
    for medium in sorted(stored, key=lambda medium: medium.position):
        by_message.setdefault(medium.message_id, []).append(medium)
    return by_message


def text_with_media(message: TurnMessage, media: Sequence[Medium], language: Language) -> str:
    """Return what the agent reads of a message: its text, transcripts, and a word for what could not be had (pure)."""
    said = [medium.transcript for medium in media if medium.transcript]
    lost = [_NOT_HAD[_hint(medium)][language] for medium in media if medium.failure is not None]
    written = [] if message.kind == "voice_note" and (said or lost) else [message.text]
    return "\n".join(part for part in (*written, *said, *lost) if part)


def images_of(media: Sequence[Medium]) -> tuple[Image, ...]:
    """Return the pictures that the model is shown (pure)."""
    return tuple(
        Image(mime_type=medium.mime_type, content=medium.content)
        for medium in media
        if medium.kind == "image" and medium.content is not None and medium.failure is None
    )


def _hint(medium: Medium) -> str:
    return "too_long" if medium.failure == "too_long" else medium.kind


def _wanted(message: TurnMessage) -> list[_Missing]:
    stored = message.content.get("media")
    references = stored if isinstance(stored, list) else []
    return [
        _Missing(message_id=message.message_id, position=position, reference=MediaReference(**reference))
        for position, reference in enumerate(references)
        if reference.get("kind") in FETCHED_KINDS
    ]


async def _fetch(
    services: Services, channel: MessageChannel, line: LineCredentials, wanted: _Missing, language: Language
) -> Medium:
    reference, limits = wanted.reference, services.limits
    max_bytes = limits.image_bytes if reference.kind == "image" else limits.voice_note_bytes
    try:
        async with asyncio.timeout(limits.media_timeout_s):
            fetched = await channel.fetch_media(line, reference, max_bytes=max_bytes)
    except (MediaError, TimeoutError) as error:
        failure = error.reason if isinstance(error, MediaError) else "unreachable"
        log.warning("media_not_fetched", message_id=str(wanted.message_id), reason=failure)
        return _medium(wanted, None, failure=failure)
    if reference.kind == "image":
        return _medium(wanted, fetched)
    return await _transcribed(services, wanted, fetched, language)


async def _transcribed(services: Services, wanted: _Missing, fetched: FetchedMedia, language: Language) -> Medium:
    seconds = opus_duration_s(fetched.content)
    if seconds is not None and seconds > services.limits.voice_note_s:
        return _medium(wanted, fetched, failure="too_long")
    try:
        transcript = await services.transcriber.transcribe(
            fetched.content,
            mime_type=fetched.mime_type,
            language=language,
            timeout_s=services.limits.media_timeout_s,
        )
    except ModelError as error:
        log.warning("voice_note_not_transcribed", message_id=str(wanted.message_id), error=type(error).__name__)
        return _medium(wanted, fetched, failure="not_transcribed")
    if not transcript.strip():
        return _medium(wanted, fetched, failure="not_transcribed")
    return _medium(wanted, fetched, transcript=safe_text(transcript.strip()))


def _medium(
    wanted: _Missing, fetched: FetchedMedia | None, *, failure: str | None = None, transcript: str | None = None
) -> Medium:
    return Medium(
        message_id=wanted.message_id,
        position=wanted.position,
        kind=wanted.reference.kind,
        mime_type=fetched.mime_type if fetched else wanted.reference.mime_type,
        failure=failure,
        sha256=fetched.sha256 if fetched else None,
        content=fetched.content if fetched else None,
        transcript=transcript,
    )


async def _stored(connection: Connection, tenant_id: UUID, messages: Sequence[TurnMessage]) -> list[Medium]:
    """Return what is stored; the bytes only of new messages' pictures, because no others are shown."""
    rows = await connection.fetch(
        """SELECT message_id, position, kind, mime_type, failure, sha256, transcript,
                  CASE WHEN kind = 'image' AND message_id = ANY ($3) THEN content END AS content
           FROM message_media WHERE tenant_id = $1 AND message_id = ANY ($2)""",
        tenant_id,
        [message.message_id for message in messages],
        [message.message_id for message in messages if message.unanswered],
    )
    return [Medium(**row) for row in rows]


async def _store(connection: Connection, tenant_id: UUID, media: Sequence[Medium], services: Services) -> None:
    now = services.now()
    await connection.executemany(
        """INSERT INTO message_media
             (tenant_id, message_id, position, kind, mime_type, state, failure, sha256, content, transcript, fetched_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
           ON CONFLICT (tenant_id, message_id, position) DO NOTHING""",
        [
            (
                tenant_id,
                medium.message_id,
                medium.position,
                medium.kind,
                medium.mime_type,
                "failed" if medium.failure else "fetched",
                medium.failure,
                medium.sha256,
                medium.content,
                medium.transcript,
                now,
            )
            for medium in media
        ],
    )
