"""What a call by audio pays: seconds of the caller streamed and of the agent heard, within what a minute holds."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from gateway.errors import StaleLeaseError
from gateway.live_calls import CallFigures
from gateway.services import Services
from gateway.voice.call import Call
from gateway.voice.call_credit import rates_for
from gateway.voice.call_meter import CallMeter
from gateway.voice.meter_effects import CutOff
from gateway.voice.opening_meter import Paid
from gateway.voice.paying import Paying, Word
from gateway.voice.playout import Playout
from gateway.voice.resumed_meter import ResumedMeter

UNPAID_MS: Final = 5_000  # to say goodbye in, where a minute has begun that nothing pays

log = structlog.get_logger(__name__)


class MediaMoney:
    """A call's meter and its payments, until they are settled or left to another stream.

    `now_ms` is the stream's clock. `answered` is called when there may be news, `minute_held` is told of each minute
    that is, `lost` that another stream has the call, `unpaid` that a minute has begun which nothing pays.
    """

    def __init__(
        self,
        services: Services,
        call: Call,
        paid: Paid,
        playout: Playout,
        *,
        notice_ms: int,
        now_ms: Callable[[], int],
        take_usage: Callable[[], Mapping[str, object]],
        answered: Callable[[], None],
        minute_held: Callable[[int], None],
        lost: Callable[[], None],
        unpaid: Callable[[CutOff], None],
    ) -> None:
        self._services = services
        self._playout = playout
        self._notice_ms = notice_ms
        self._now_ms = now_ms
        self._take_usage = take_usage
        self._answered = answered
        self._minute_held = minute_held
        self._lost = lost
        self._unpaid = unpaid
        self.begin(call, paid)

    def begin(self, call: Call, paid: Paid) -> None:
        """Begin to count and to pay, where an earlier meter has stopped; what was played before is not counted."""
        zero_ms = self._now_ms()
        self._call_id = call.call_id
        self._elapsed_ms = paid.elapsed_ms
        self._zero_ms = zero_ms
        self._played_before_ms = self._playout.billable_heard_ms(zero_ms)
        self.meter = CallMeter(
            rates_for(self._services, call.account),
            first_held_millicredits=paid.first_held_millicredits,
            notice_ms=self._notice_ms,
            resumed=paid.resumed,
            hold_ahead_ms=round(self._services.limits.hold_ahead_s * 1000),
        )
        self._paying = Paying(
            self._services,
            call,
            self.meter,
            paid.held,
            counted_by="audio",
            now_ms=lambda: self._now_ms() - zero_ms,
            take_usage=self._take_usage,
            answered=self._answered,
            minute_held=self._minute_held,
        )
        self._running = asyncio.create_task(self._paying.run())
        self._running.add_done_callback(self._ended)
        self._minute_held(self.meter.minute + 1)

    @property
    def elapsed_ms(self) -> int:
        """How long the call goes on, since its first stream began."""
        return self._elapsed_ms + self._now_ms() - self._zero_ms

    def figures(self, state: str) -> CallFigures:
        meter = self.meter
        return CallFigures(
            seconds=self.elapsed_ms / 1000,
            minutes_charged=meter.minute,
            input_tokens=meter.input_tokens,
            output_tokens=meter.output_tokens,
            charged_millicredits=meter.charged_millicredits,
            unsettled_millicredits=meter.unsettled_millicredits,
            held_millicredits=meter.held_millicredits,
            state=state,
        )

    def heard_caller(self, ms: int) -> None:
        self.meter.heard_caller(ms)

    def due(self, now_ms: int) -> list[Word]:
        """Have done what is for the ledger; return what the conversation is to know."""
        self.meter.played(self._playout.billable_heard_ms(now_ms) - self._played_before_ms)
        words = self._paying.want(self.meter.due(now_ms - self._zero_ms))
        return [CutOff(word.by_ms + self._zero_ms) if isinstance(word, CutOff) else word for word in words]

    def next_due_ms(self, now_ms: int) -> int:
        return self.meter.next_due_ms(now_ms - self._zero_ms) + self._zero_ms

    def stop(self, now_ms: int) -> None:
        """Count nothing more."""
        self.meter.played(self._playout.billable_heard_ms(now_ms) - self._played_before_ms)
        self.meter.stop_audio(now_ms - self._zero_ms)

    async def settle(self, now_ms: int) -> None:
        """Charge what was used and let go of the next minute. Raises StaleLeaseError, MinuteUnpaidError."""
        self.meter.played(self._playout.billable_heard_ms(now_ms) - self._played_before_ms)
        self._paying.want(self.meter.close(now_ms - self._zero_ms))
        await self.pause()
        await self._paying.release_ahead()

    async def pause(self) -> None:
        """Do what is to be done, and pay nothing more. Raises as `settle` does."""
        self._paying.close()
        await self._running

    async def abandon(self) -> None:
        """Pay nothing more: another stream does."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    def snapshot(self, now_ms: int) -> ResumedMeter:
        """Return what another stream goes on from."""
        self.meter.played(self._playout.billable_heard_ms(now_ms) - self._played_before_ms)
        self._paying.want(self.meter.due(now_ms - self._zero_ms))
        return self.meter.snapshot()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StaleLeaseError):
            self._lost()
        elif error is not None:
            log.warning("call_unpaid", call_id=str(self._call_id), error=type(error).__name__)
            self._unpaid(CutOff(self._now_ms() + UNPAID_MS))
