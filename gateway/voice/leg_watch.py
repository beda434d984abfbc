"""Watching a forwarded call: each next minute of both legs is held before it starts, and charged when it does.

What has happened on the legs other processes may have heard of, so it is read from the rows. A process that dies leaves
the call's lease to run out, and the sweep ends the call; the two talk on at most as long as could be paid at first.
"""

import asyncio
from datetime import datetime, timedelta

import asyncpg
import structlog

from gateway.errors import DatabaseUnavailableError, MinuteUnpaidError, StaleLeaseError
from gateway.services import Services
from gateway.twilio import calls
from gateway.voice import call_store, leg_store
from gateway.voice.answering import Voice
from gateway.voice.call import Call, MinuteHeld
from gateway.voice.call_credit import begin_leg_minute, hold_leg_minute, release_leg_minute
from gateway.voice.call_keys import CALLERS_LEG
from gateway.voice.forwarded_call import ForwardedCall
from gateway.voice.leg_minutes import LegMinutes
from gateway.voice.leg_store import LegRow

log = structlog.get_logger(__name__)


def watch(voice: Voice, call: Call, leg: int, *, held_minute: int) -> None:
    """Begin to watch a call that is being put through; a second watch of the same call is not begun.

    `held_minute` is the caller's own that is set aside already; so is the person's first.
    """
    if call.call_id in voice.forwards:
        return
    watching = _Watching(voice, call, leg, held_minute)
    task = asyncio.create_task(watching.run())
    voice.forwards[call.call_id] = task
    task.add_done_callback(lambda _: voice.forwards.pop(call.call_id, None))


class _Watching:
    """The watch of one forwarded call."""

    def __init__(self, voice: Voice, call: Call, leg: int, held_minute: int) -> None:
        self._services = voice.services
        self._call = call
        self._leg = leg
        self._both = {CALLERS_LEG: LegMinutes(held=held_minute), leg: LegMinutes(held=1)}
        self._live: ForwardedCall | None = None
        self._renew_at = voice.services.now()
        self._end_asked = asyncio.Event()

    async def run(self) -> None:
        """Look after the call until it is over or a stream has it again; a database that is away is waited for."""
        services = self._services
        try:
            while True:
                try:
                    if not await self._look():
                        break
                except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                    log.warning("forwarded_call_unseen", call_id=str(self._call.call_id), error=type(error).__name__)
                await self._pause()
            await _let_go(services, self._call, self._both)
        except StaleLeaseError:
            log.info("forwarded_call_taken_over", call_id=str(self._call.call_id))
        except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
            log.warning("forwarded_call_not_let_go", call_id=str(self._call.call_id), error=type(error).__name__)
        finally:
            if self._live is not None:
                services.live_calls.discard(self._live)

    async def _look(self) -> bool:
        """Charge and hold what is due; False once the call is no longer put through by us, or cannot be paid."""
        services, call = self._services, self._call
        row, now = await _read(services, call, self._leg), services.now()
        if row is None:
            return False
        _take_over(self._both, row)
        if self._end_asked.is_set() or not await _keep_up(services, call, self._both, now):
            await _cut(services, call)
            return False
        self._show(row)
        if now >= self._renew_at:
            self._renew_at = now + timedelta(seconds=services.limits.call_lease_s / 3)
            return await _renew(services, call)
        return True

    def _show(self, row: LegRow) -> None:
        """Be one of the process's calls, as soon as the stream that had it before is gone."""
        if self._live is None:
            if self._call.call_id in self._services.live_calls.calls:
                return
            self._live = ForwardedCall(self._services, self._call, row, self._end_asked.set)
            self._services.live_calls.add(self._live)
        self._live.row = row
        self._live.minutes_held = sum(minutes.held - minutes.begun for minutes in self._both.values())

    async def _pause(self) -> None:
        if self._end_asked.is_set():  # and not obeyed, for the database is away
            await asyncio.sleep(self._services.limits.poll_s)
            return
        try:
            async with asyncio.timeout(self._services.limits.poll_s):
                await self._end_asked.wait()
        except TimeoutError:
            pass


async def _read(services: Services, call: Call, leg: int) -> LegRow | None:
    """Return the leg while its call is put through by us; None once that is over."""
    async with services.db.transaction(call.tenant_id) as connection:
        row = await leg_store.read_leg(connection, call.tenant_id, call.call_id, leg)
    going_on = row is not None and row.state != "ended" and row.call_state == "forwarding"
    return row if going_on and row is not None and row.call_epoch == call.account.epoch else None


def _take_over(both: dict[int, LegMinutes], row: LegRow) -> None:
    """Let the minutes know what the rows say: when each leg began, and what is charged already.

    A call that no agent has answered begins with the person's picking up.
    """
    caller, person = both[CALLERS_LEG], both[row.leg]
    caller.started_at = row.call_began_at or row.answered_at
    person.started_at = row.answered_at
    for minutes, charged in ((caller, row.call_minutes_charged), (person, row.minutes_charged)):
        minutes.begun = max(minutes.begun, charged)
        minutes.held = max(minutes.held, minutes.begun)


async def _keep_up(services: Services, call: Call, both: dict[int, LegMinutes], now: datetime) -> bool:
    """Charge the minutes that have started and hold those that are about to; False if one cannot be paid."""
    ahead = timedelta(seconds=services.limits.hold_ahead_s)
    for leg, minutes in both.items():
        while (minute := minutes.to_begin(now)) is not None:
            if not await _begin(services, call, leg, minute):
                return False
            minutes.begun = minutes.held = minute
        minute = minutes.to_hold(now, ahead)
        if minute is not None and await _is_held(services, call, leg, minute):
            minutes.held = minute
    return True


async def _begin(services: Services, call: Call, leg: int, minute: int) -> bool:
    """Charge a minute that has started; a last attempt to hold it, if that has failed so far."""
    if not await _is_held(services, call, leg, minute):
        return False
    try:
        await begin_leg_minute(services, call.account, leg, minute)
    except MinuteUnpaidError:
        return False
    return True


async def _is_held(services: Services, call: Call, leg: int, minute: int) -> bool:
    return isinstance(await hold_leg_minute(services, call.account, leg, minute), MinuteHeld)


async def _cut(services: Services, call: Call) -> None:
    """End a call whose next minute cannot be paid; what is told of its end closes its row."""
    log.info("forwarded_call_cut", tenant_id=str(call.tenant_id), call_id=str(call.call_id))
    if services.twilio is not None:
        ended = await calls.hang_up(services.twilio, call.call_sid)
        if not calls.is_done(ended):
            log.warning("call_not_ended", call_id=str(call.call_id), outcome=type(ended).__name__)


async def _renew(services: Services, call: Call) -> bool:
    async with services.db.transaction(call.tenant_id) as connection:
        return await call_store.renew_lease(
            connection, call.account, lease_until=services.after(services.limits.call_lease_s)
        )


async def _let_go(services: Services, call: Call, both: dict[int, LegMinutes]) -> None:
    """Release what is held for minutes that do not begin any more."""
    for leg, minutes in both.items():
        if minutes.held > minutes.begun:
            await release_leg_minute(services, call.account, leg, minutes.held)
