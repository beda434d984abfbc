"""Paying for a call while it goes on: what its meter asks for is done in the ledger, one thing after the other.

The conversation does not wait for it. A ledger that cannot be reached refuses what is to be held, so that the call goes
on within what it has; what is to be charged is tried again for a while, for its hold lives as long as the call's lease.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import asyncpg
import structlog

from gateway.errors import DatabaseUnavailableError
from gateway.services import Services
from gateway.voice.call import Call, CountedBy, MinuteHeld, MinuteRefused
from gateway.voice.call_meter import CallMeter
from gateway.voice.credit import minutes
from gateway.voice.credit.meter_effects import (
    BeginMinute,
    Continued,
    CutOff,
    EnlargeHold,
    HoldMinute,
    MeterEffect,
    SettleMinute,
    WrapUp,
)
from gateway.voice.credit.metered_minutes import MinuteUsage

TRY_AGAIN_S: Final = (0.2, 1.0, 3.0, 5.0)
AWAY: Final = (DatabaseUnavailableError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

Work = HoldMinute | EnlargeHold | BeginMinute | SettleMinute
Word = WrapUp | Continued | CutOff

log = structlog.get_logger(__name__)


class Paying:
    """One call's payments. `held` are its minutes that are set aside, `call` has the epoch of its stream.

    `take_usage` gives what the provider itself has counted since it was last asked; `answered` is called when the
    meter knows more than before. `minute_held` is told of each minute that is.
    """

    def __init__(
        self,
        services: Services,
        call: Call,
        meter: CallMeter,
        held: Mapping[int, MinuteHeld],
        *,
        counted_by: CountedBy,
        now_ms: Callable[[], int],
        take_usage: Callable[[], Mapping[str, object]],
        answered: Callable[[], None],
        minute_held: Callable[[int], None],
        try_again_s: Sequence[float] = TRY_AGAIN_S,
    ) -> None:
        self._services = services
        self._call = call
        self._meter = meter
        self._held = dict(held)
        self._counted_by = counted_by
        self._now_ms = now_ms
        self._take_usage = take_usage
        self._answered = answered
        self._minute_held = minute_held
        self._try_again_s = try_again_s
        self._unbegun: list[MinuteHeld] = []  # their fees could not be charged yet, the earliest first
        self._work: asyncio.Queue[Work | None] = asyncio.Queue()

    def want(self, effects: Iterable[MeterEffect]) -> list[Word]:
        """Have done what is for the ledger, in this order; return what is for the conversation."""
        words: list[Word] = []
        for effect in effects:
            if isinstance(effect, WrapUp | Continued | CutOff):
                words.append(effect)
            else:
                self._work.put_nowait(effect)
        return words

    async def run(self) -> None:
        """Pay until `close`. Raises StaleLeaseError, and MinuteUnpaidError for a minute that nothing pays."""
        while (work := await self._work.get()) is not None:
            await self._do(work)

    def close(self) -> None:
        """Let `run` end with what it was asked for until now."""
        self._work.put_nowait(None)

    async def release_ahead(self) -> None:
        """Let go of a minute that is set aside and will not begin."""
        minute = self._meter.held_ahead
        held = None if minute is None else self._held.pop(minute, None)
        if held is not None:
            await self._surely(lambda: minutes.release_minute(self._services, self._call.account, held))

    async def _do(self, effect: Work) -> None:
        match effect:
            case HoldMinute(minute):
                await self._hold(minute, minutes.hold_minute(self._services, self._call.account, minute))
            case EnlargeHold(minute) if minute in self._held:
                held = self._held[minute]
                await self._hold(minute, minutes.enlarge(self._services, self._call.account, held))
            case EnlargeHold():
                pass  # it is settled meanwhile
            case BeginMinute(minute):
                self._unbegun.append(self._held[minute])
                await self._begin()
            case SettleMinute(usage):
                if await self._settle(usage):
                    await self._begin()

    async def _begin(self) -> None:
        """Charge the fees of minutes that have begun: none before those of earlier ones."""
        while self._unbegun:
            held = self._unbegun[0]
            if not await self._surely(lambda: minutes.begin_minute(self._services, self._call.account, held)):  # noqa: B023 - called at once
                return
            del self._unbegun[0]

    async def _settle(self, usage: MinuteUsage) -> bool:
        held, provider_usage = self._held.pop(usage.minute), self._take_usage()
        return await self._surely(
            lambda: minutes.settle_minute(
                self._services,
                self._call.account,
                held,
                usage,
                counted_by=self._counted_by,
                provider_usage=provider_usage,
            )
        )

    async def _hold(self, minute: int, holding: Awaitable[MinuteHeld | MinuteRefused | None]) -> None:
        """Tell the meter what came of setting a minute aside."""
        found: MinuteHeld | MinuteRefused | None = None
        try:
            found = await holding
        except AWAY as error:
            log.warning("minute_not_held", call_id=str(self._call.call_id), minute=minute, error=type(error).__name__)
        if isinstance(found, MinuteHeld):
            self._held[minute] = found
            self._meter.held(minute, found.audio_millicredits, full=found.full, now_ms=self._now_ms())
            self._minute_held(minute)
        else:
            self._meter.refused(minute, self._now_ms())
        self._answered()

    async def _surely(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Do something that is safe to repeat; False if the ledger does not take it in time."""
        for pause_s in (*self._try_again_s, None):
            try:
                await work()
            except AWAY as error:
                if pause_s is None:
                    log.error("call_not_charged", call_id=str(self._call.call_id), error=type(error).__name__)  # noqa: TRY400 - says it all
                    return False
                await asyncio.sleep(pause_s)
            else:
                return True
        raise AssertionError("the last attempt returns")
