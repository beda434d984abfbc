"""Watching a forwarded call: each next minute of both legs is held before it starts, and charged when it does.

What has happened on the legs other processes may have heard of, so it is read from the rows. A process that stops
leaves the call to another one at once; of one that dies, the lease runs out first (`gateway.voice.legs.adoption`).
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.errors import MinuteUnpaidError, StaleLeaseError
from gateway.services import Services
from gateway.twilio import calls
from gateway.voice import call_store
from gateway.voice.answering import Voice
from gateway.voice.call import Call, MinuteHeld
from gateway.voice.credit.keys import CALLERS_LEG
from gateway.voice.credit.minutes import begin_leg_minute, hold_leg_minute, release_leg_minute
from gateway.voice.credit.paying import AWAY
from gateway.voice.legs import leg_store
from gateway.voice.legs.forwarded_call import ForwardedCall
from gateway.voice.legs.leg_store import LegRow
from gateway.voice.legs.minutes import LegMinutes

ASKED_S: Final = 60  # at most, for what a person hears before they take the call
SPARE_S: Final = 30  # for Twilio to end what has taken all its time, and to tell of it

log = structlog.get_logger(__name__)


def watch(voice: Voice, call: Call, leg: int, *, callers_held: int, persons_held: int) -> None:
    """Begin to watch a call that is being put through; a second watch of the same call is not begun.

    `callers_held` is the last minute of the caller's own that is set aside or charged, as far as is known;
    `persons_held` the person's.
    """
    if call.call_id in voice.forwards:
        return
    both = {CALLERS_LEG: LegMinutes(held=callers_held), leg: LegMinutes(held=persons_held)}
    watching = _Watching(voice.services, call, leg, both)
    voice.forwards[call.call_id] = watching
    watching.task.add_done_callback(lambda _: voice.forwards.pop(call.call_id, None))


class _Watching:
    """The watch of one forwarded call."""

    def __init__(self, services: Services, call: Call, leg: int, both: dict[int, LegMinutes]) -> None:
        self._services = services
        self._call = call
        self._leg = leg
        self._both = both
        self._live: ForwardedCall | None = None
        self._renew_at = services.now()
        self._asked = asyncio.Event()  # to end or to move
        self._ends = self._moves = False
        self.task = asyncio.create_task(self._run())

    def move(self) -> None:
        """Leave the call to another process at once."""
        self._moves = True
        self._asked.set()

    def end(self) -> None:
        """Hang up."""
        self._ends = True
        self._asked.set()

    async def _run(self) -> None:
        """Look after the call until it is over, or somebody else has it; a database that is away is waited for."""
        services, call = self._services, self._call
        try:
            while not self._moves and await self._goes_on():
                await self._pause()
            await (_hand_over(services, call) if self._moves else _let_go(services, call, self._both))
        except StaleLeaseError:
            log.info("forwarded_call_taken_over", call_id=str(call.call_id))
        except AWAY as error:
            log.warning("forwarded_call_not_let_go", call_id=str(call.call_id), error=type(error).__name__)
        finally:
            if self._live is not None:
                services.live_calls.discard(self._live)

    async def _goes_on(self) -> bool:
        try:
            return await self._look()
        except AWAY as error:
            log.warning("forwarded_call_unseen", call_id=str(self._call.call_id), error=type(error).__name__)
            return True

    async def _look(self) -> bool:
        """Charge and hold what is due; False once the call is no longer put through by us, or cannot be paid."""
        services, call = self._services, self._call
        row, now = await _read(services, call, self._leg), services.now()
        if row is None:
            return False
        _take_over(self._both, row)
        if self._ends or now >= _over_at(call, row) or not await _keep_up(services, call, self._both, now):
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
            self._live = ForwardedCall(self._services, self._call, row, on_move=self.move, on_end=self.end)
            self._services.live_calls.add(self._live)
        self._live.row = row
        self._live.minutes_held = sum(minutes.held - minutes.begun for minutes in self._both.values())

    async def _pause(self) -> None:
        if self._ends and not self._moves:  # and not obeyed, for the database is away
            await asyncio.sleep(self._services.limits.poll_s)
            return
        try:
            async with asyncio.timeout(self._services.limits.poll_s):
                await self._asked.wait()
        except TimeoutError:
            pass


def _over_at(call: Call, row: LegRow) -> datetime:
    """Return when Twilio has ended a call for certain, though nobody has told us."""
    seconds = call.configuration.voice.transfer_timeout_s + ASKED_S + row.time_limit_s + SPARE_S
    return row.dialled_at + timedelta(seconds=seconds)


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
    """End a call whose next minute cannot be paid; what is told of its end closes its row.

    If nothing is told, its lease runs out, and whoever takes it over asks Twilio how it stands.
    """
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


async def _hand_over(services: Services, call: Call) -> None:
    """End our lease, and leave what is held to whoever goes on."""
    now = services.now()
    async with services.db.transaction(call.tenant_id) as connection:
        until = now + timedelta(seconds=services.limits.call_lease_s)
        await call_store.hand_over(connection, call.account, now=now, holds_until=until)
    log.info("forwarded_call_handed_over", call_id=str(call.call_id))


async def _let_go(services: Services, call: Call, both: dict[int, LegMinutes]) -> None:
    """Release what is held for minutes that do not begin any more."""
    for leg, minutes in both.items():
        if minutes.held > minutes.begun:
            await release_leg_minute(services, call.account, leg, minutes.held)
