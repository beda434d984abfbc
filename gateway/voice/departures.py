"""How a call by text comes to a stream, is kept by it, and leaves it: hung up, or moved to another process."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from gateway.services import Services
from gateway.twilio import calls
from gateway.twilio.rest import Accepted
from gateway.voice import call_store
from gateway.voice.answering import Voice
from gateway.voice.arrival.connecting import connect
from gateway.voice.call import Call, Progress
from gateway.voice.credit.paying import AWAY
from gateway.voice.credit.settling import end_call, note_part

MINUTE_S: Final = 60
TIME_LIMIT_SPARE_S: Final = 30  # Twilio counts from the answer, we from the stream's beginning

log = structlog.get_logger(__name__)


async def hang_up(services: Services, call: Call) -> None:
    """End a call at Twilio."""
    if services.twilio is None:
        return
    ended = await calls.hang_up(services.twilio, call.call_sid)
    if not calls.is_done(ended):
        log.warning("call_not_ended", call_id=str(call.call_id), outcome=type(ended).__name__)


async def limit(services: Services, call: Call, minute: int) -> None:
    """Let Twilio end the call after a minute of it, the last that is paid, should nobody here be able to."""
    if services.twilio is not None:
        await calls.limit(services.twilio, call.call_sid, minute * MINUTE_S + TIME_LIMIT_SPARE_S)


async def close(
    services: Services, call: Call, reason: str, figures: Mapping[str, object], provider_usage: Mapping[str, object]
) -> None:
    """End a call in the rows; if they are away, its lease runs out and the sweep does."""
    try:
        await end_call(services, call.account, reason=reason, figures=figures, provider_usage=provider_usage)
    except AWAY as error:
        log.error("call_not_closed", call_id=str(call.call_id), error=type(error).__name__)  # noqa: TRY400 - says it all


async def leave(
    services: Services, call: Call, figures: Mapping[str, object], provider_usage: Mapping[str, object]
) -> None:
    """Write down how a stream went whose call goes on without it."""
    try:
        await note_part(services, call.account, figures=figures, provider_usage=provider_usage)
    except AWAY as error:
        log.error("call_part_not_kept", call_id=str(call.call_id), error=type(error).__name__)  # noqa: TRY400 - says it all


async def move(voice: Voice, call: Call, progress: Progress) -> bool:
    """Leave the call to a stream that begins elsewhere; False, and it is left all the same: take it again."""
    services = voice.services
    if services.twilio is None:
        return False
    until = services.now() + timedelta(seconds=services.limits.stream_begins_s)
    async with services.db.transaction(call.tenant_id) as connection:
        saved = await call_store.save_progress(connection, call.account, progress, state="away", lease_until=until)
    if not saved:
        return False
    moved = await calls.redirect(services.twilio, call.call_sid, await connect(services, call))
    if not isinstance(moved, Accepted):
        log.warning("call_not_moved", call_id=str(call.call_id), outcome=type(moved).__name__)
    return isinstance(moved, Accepted)


async def take(services: Services, call: Call) -> Call | None:
    """Return the call as a stream has it that begins here; None if it is over."""
    now = services.now()
    async with services.db.transaction(call.tenant_id) as connection:
        epoch = await call_store.begin_stream(
            connection,
            call.account,
            now=now,
            lease_until=services.after(services.limits.call_lease_s),
        )
    return None if epoch is None else replace(call.at(epoch), stream_started_at=call.stream_started_at or now)


async def keep(services: Services, its_call: Callable[[], Call], lost: Callable[[], None]) -> None:
    """Renew the call's lease for good; once another stream has it, say so and end."""
    while True:
        await asyncio.sleep(services.limits.call_lease_s / 3)
        call = its_call()
        until = services.after(services.limits.call_lease_s)
        try:
            async with services.db.transaction(call.tenant_id) as connection:
                kept = await call_store.renew_lease(connection, call.account, lease_until=until)
        except AWAY as error:
            log.warning("call_lease_not_renewed", call_id=str(call.call_id), error=type(error).__name__)
            continue
        if not kept:
            lost()
            return
