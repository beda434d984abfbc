"""Recording a call at Twilio, only for owners who want it and only after the caller's own yes; no sound passes here.

While nobody has agreed there is nothing to be recorded, so a call may be asked about for as long as it likes. What is
recorded ends before a person is dialled, who has agreed to nothing.
"""

from collections.abc import AsyncIterator
from uuid import UUID

import structlog

from gateway.channels.twilio_forms import Fields, whole_number
from gateway.errors import MediaError
from gateway.services import Services
from gateway.twilio import calls, recordings
from gateway.voice.addresses import recording_address
from gateway.voice.call import Call
from gateway.voice.yes import is_yes

__all__ = ["answer", "asked", "delete", "fetch", "is_yes", "note_recorded", "stop", "wanted"]

log = structlog.get_logger(__name__)


def wanted(call: Call) -> bool:
    """Return whether the caller is to be asked (pure)."""
    return call.configuration.voice.recording == "ask"


async def asked(services: Services, call: Call) -> bool:
    """Note that the caller is being asked; False if they were asked before, or are not to be."""
    if not wanted(call):
        return False
    return await _move(services, call.tenant_id, call.call_id, to="asked", of=("none",))


async def answer(services: Services, call: Call, *, agreed: bool) -> bool:
    """Note the caller's answer and, after a yes, begin to record; return whether Twilio records now.

    The first answer counts. Where nobody is to be asked there is none.
    """
    if not wanted(call):
        return False
    agreed = agreed and services.twilio is not None
    to = "running" if agreed else "refused"
    moved = await _move(services, call.tenant_id, call.call_id, to=to, of=("none", "asked"))
    if services.twilio is None or not agreed or not moved:
        return False
    begun = await calls.start_recording(
        services.twilio, call.call_sid, recording_address(services.settings.public_url, call)
    )
    sid = calls.sid_of(begun)
    if sid is None:
        log.warning("recording_not_begun", call_id=str(call.call_id), outcome=type(begun).__name__)
        await _move(services, call.tenant_id, call.call_id, to="failed", of=("running",))
        return False
    await _name(services, call.tenant_id, call.call_id, sid)
    return True


async def stop(services: Services, call: Call) -> None:
    """End the recording, if one runs; what was recorded is kept."""
    async with services.db.transaction(call.tenant_id) as connection:
        sid: str | None = await connection.fetchval(
            "SELECT recording_sid FROM call WHERE tenant_id = $1 AND call_id = $2 AND recording = 'running'",
            call.tenant_id,
            call.call_id,
        )
    if sid is not None and services.twilio is not None:
        ended = await calls.stop_recording(services.twilio, call.call_sid, sid)
        if not calls.is_done(ended):
            log.warning("recording_not_ended", call_id=str(call.call_id), outcome=type(ended).__name__)


async def note_recorded(services: Services, tenant_id: UUID, call_id: UUID, fields: Fields) -> None:
    """Note what Twilio tells of a recording: how long it is, or that there is none. It may tell so several times."""
    stored = fields.get("RecordingStatus") == "completed"
    async with services.db.transaction(tenant_id) as connection:
        await connection.execute(
            """UPDATE call SET recording = CASE WHEN $3 THEN 'stored' ELSE 'failed' END,
                               recording_sid = CASE WHEN $3 THEN coalesce($4, recording_sid) END,
                               recording_duration_s = CASE WHEN $3 THEN $5::integer END
               WHERE tenant_id = $1 AND call_id = $2 AND recording IN ('running', 'stored', 'failed')
                 AND recording_consent_at IS NOT NULL AND (recording_sid IS NULL OR recording_sid = $4)""",
            tenant_id,
            call_id,
            stored,
            fields.get("RecordingSid"),
            whole_number(fields.get("RecordingDuration")),
        )


async def fetch(services: Services, tenant_id: UUID, call_id: UUID) -> AsyncIterator[bytes]:
    """Yield a call's recording as MP3, from Twilio. Raises LookupError without one, MediaError."""
    sid = await _sid(services, tenant_id, call_id)
    if services.twilio is None:
        raise MediaError("refused", "no account")
    async for piece in recordings.stream(services.twilio, sid):
        yield piece


async def delete(services: Services, tenant_id: UUID, call_id: UUID) -> None:
    """Delete a call's recording, at Twilio first. Raises LookupError without one, MediaError."""
    sid = await _sid(services, tenant_id, call_id)
    if services.twilio is None:
        raise MediaError("refused", "no account")
    gone = await calls.delete_recording(services.twilio, sid)
    if not calls.is_done(gone):
        raise MediaError("unreachable", type(gone).__name__)
    async with services.db.transaction(tenant_id) as connection:
        await connection.execute(
            """UPDATE call SET recording = 'none', recording_sid = NULL, recording_duration_s = NULL
               WHERE tenant_id = $1 AND call_id = $2 AND recording_sid = $3""",
            tenant_id,
            call_id,
            sid,
        )


async def _sid(services: Services, tenant_id: UUID, call_id: UUID) -> str:
    async with services.db.transaction(tenant_id) as connection:
        sid: str | None = await connection.fetchval(
            "SELECT recording_sid FROM call WHERE tenant_id = $1 AND call_id = $2 AND recording = 'stored'",
            tenant_id,
            call_id,
        )
    if sid is None:
        raise LookupError(f"no recording of call {call_id}")
    return sid


async def _move(services: Services, tenant_id: UUID, call_id: UUID, *, to: str, of: tuple[str, ...]) -> bool:
    """Let a call's recording go from one of these states to another; consent is dated with the yes."""
    async with services.db.transaction(tenant_id) as connection:
        moved = await connection.fetchval(
            """UPDATE call SET recording = $3,
                 recording_consent_at = CASE WHEN $3 = 'running' THEN $4 ELSE recording_consent_at END
               WHERE tenant_id = $1 AND call_id = $2 AND recording = ANY ($5) RETURNING true""",
            tenant_id,
            call_id,
            to,
            services.now(),
            list(of),
        )
    return moved is not None


async def _name(services: Services, tenant_id: UUID, call_id: UUID, sid: str) -> None:
    async with services.db.transaction(tenant_id) as connection:
        await connection.execute(
            "UPDATE call SET recording_sid = $3 WHERE tenant_id = $1 AND call_id = $2 AND recording_sid IS NULL",
            tenant_id,
            call_id,
            sid,
        )
