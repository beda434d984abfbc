"""What a stream finds paid when it begins: a call's first minute, or what is left of the one it goes on in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.services import Services
from gateway.voice.call import Call, MinuteHeld, MinuteRefused
from gateway.voice.credit import minutes
from gateway.voice.credit.metered_minutes import MINUTE_MS, AudioHold
from gateway.voice.credit.resumed_meter import ResumedMeter
from gateway.voice.credit.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """The minutes that are set aside, and the meter that goes on from them.

    `elapsed_ms`: since the call's first stream began.
    """

    held: Mapping[int, MinuteHeld]
    first_held_millicredits: int
    resumed: ResumedMeter | None
    elapsed_ms: int


async def paid_so_far(services: Services, call: Call) -> Paid | MinuteRefused:
    """Return what is set aside for a stream that begins, setting aside what is not.

    `call` has the epoch of that stream. Raises what the ledger raises.
    """
    if call.progress is None:
        held = await minutes.hold_minute(services, call.account, 1)
        if isinstance(held, MinuteRefused):
            return held
        return Paid(held={1: held}, first_held_millicredits=held.audio_millicredits, resumed=None, elapsed_ms=0)
    began_at = services.now() if call.stream_started_at is None else call.stream_started_at
    elapsed_ms = max(0, round((services.now() - began_at).total_seconds() * 1000))
    before = ResumedMeter.from_json(call.progress.meter) if call.progress.meter else None
    charged = await _minutes_charged(services, call)
    if before is not None and before.minute_age_ms is not None and before.minute == charged:
        return await _go_on(services, call, before.later(max(0, elapsed_ms - call.progress.elapsed_ms)), elapsed_ms)
    return await _begin_again(services, call, charged, Tally() if before is None else before.tally, elapsed_ms)


async def _go_on(services: Services, call: Call, resumed: ResumedMeter, elapsed_ms: int) -> Paid | MinuteRefused:
    """Go on in the minute that the stream before has left, with the holds that it has left."""
    held: dict[int, MinuteHeld] = {}
    minute = resumed.minute
    current = await minutes.hold_minute(services, call.account, minute)
    if isinstance(current, MinuteRefused):
        return current
    held[minute] = current
    ahead: AudioHold | None = None
    if resumed.ahead is not None:
        following = await minutes.hold_minute(services, call.account, minute + 1)
        if isinstance(following, MinuteHeld):
            held[minute + 1], ahead = following, _audio(following)
    return Paid(
        held=held,
        first_held_millicredits=0,
        resumed=replace(resumed, hold=_audio(current), ahead=ahead),
        elapsed_ms=elapsed_ms,
    )


async def _begin_again(
    services: Services, call: Call, charged: int, tally: Tally, elapsed_ms: int
) -> Paid | MinuteRefused:
    """Go on where nothing was left: in a minute that was charged while a person was dialled, or in a new one."""
    age_ms = elapsed_ms - (charged - 1) * MINUTE_MS
    runs = charged > 0 and age_ms < MINUTE_MS
    minute = charged if runs else charged + 1
    held = await minutes.hold_minute(services, call.account, minute)
    if isinstance(held, MinuteRefused):
        return held
    return Paid(
        held={minute: held},
        first_held_millicredits=held.audio_millicredits,
        resumed=ResumedMeter(
            minute=charged,
            minute_age_ms=max(0, age_ms) if runs else None,
            hold=_audio(held) if runs else None,
            ahead=None,
            tally=tally,
        ),
        elapsed_ms=elapsed_ms,
    )


async def _minutes_charged(services: Services, call: Call) -> int:
    async with services.db.transaction(call.tenant_id) as connection:
        charged: int = await connection.fetchval(
            "SELECT minutes_charged FROM call WHERE tenant_id = $1 AND call_id = $2", call.tenant_id, call.call_id
        )
    return charged


def _audio(held: MinuteHeld) -> AudioHold:
    return AudioHold(held.audio_millicredits, held.full)
