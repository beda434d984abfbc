"""One stream's meter and its payments, whatever it counts: asked when something is due, settled or left at its end."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Literal

from gateway.live_calls import CallFigures
from gateway.services import Services
from gateway.voice.call import Call, CountedBy
from gateway.voice.call_meter import CallMeter
from gateway.voice.credit.meter_effects import CutOff
from gateway.voice.credit.minutes import rates_for
from gateway.voice.credit.opening_meter import Paid
from gateway.voice.credit.paying import Paying, Word
from gateway.voice.credit.resumed_meter import ResumedMeter

COUNTED_BY: Final[Mapping[Literal["audio", "text"], CountedBy]] = {"audio": "audio", "text": "tiktoken"}


class StreamMoney:
    """Times are the session's; `zero_ms` is when this meter began.

    `answered` is called when there may be news, `minute_held` is told of each minute that is, `failed` of what ended
    the payments before their time.
    """

    def __init__(
        self,
        services: Services,
        call: Call,
        paid: Paid,
        *,
        count: Literal["audio", "text"],
        notice_ms: int,
        zero_ms: int,
        now_ms: Callable[[], int],
        take_usage: Callable[[], Mapping[str, object]],
        answered: Callable[[], None],
        minute_held: Callable[[int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._zero_ms = zero_ms
        self.meter = CallMeter(
            rates_for(services, call.account),
            first_held_millicredits=paid.first_held_millicredits,
            notice_ms=notice_ms,
            resumed=paid.resumed,
            hold_ahead_ms=round(services.limits.hold_ahead_s * 1000),
            count=count,
        )
        self._paying = Paying(
            services,
            call,
            self.meter,
            paid.held,
            counted_by=COUNTED_BY[count],
            now_ms=lambda: now_ms() - zero_ms,
            take_usage=take_usage,
            answered=answered,
            minute_held=minute_held,
        )
        self._running = asyncio.create_task(self._paying.run())
        self._running.add_done_callback(lambda task: _tell(task, failed))

    def figures(self, seconds: float, state: str) -> CallFigures:
        """Return the meter as it stands, for the owner's live view."""
        meter = self.meter
        return CallFigures(
            seconds=seconds,
            minutes_charged=meter.minute,
            input_tokens=meter.input_tokens,
            output_tokens=meter.output_tokens,
            charged_millicredits=meter.charged_millicredits,
            unsettled_millicredits=meter.unsettled_millicredits,
            held_millicredits=meter.held_millicredits,
            state=state,
        )

    def due(self, now_ms: int) -> list[Word]:
        """Have done what is for the ledger; return what the conversation is to know, in the session's time."""
        words = self._paying.want(self.meter.due(now_ms - self._zero_ms))
        return [CutOff(word.by_ms + self._zero_ms) if isinstance(word, CutOff) else word for word in words]

    def next_due_ms(self, now_ms: int) -> int:
        return self.meter.next_due_ms(now_ms - self._zero_ms) + self._zero_ms

    def stop(self, now_ms: int) -> None:
        """Count nothing more."""
        self.meter.stop_audio(now_ms - self._zero_ms)

    async def settle(self, now_ms: int) -> ResumedMeter:
        """Charge what was used and let go of the next minute; return what another stream goes on from.

        Raises StaleLeaseError, and MinuteUnpaidError for a minute that nothing pays.
        """
        self._paying.want(self.meter.close(now_ms - self._zero_ms))
        await self._finish()
        await self._paying.release_ahead()
        return self.meter.snapshot()

    async def pause(self, now_ms: int) -> ResumedMeter:
        """Leave the minute as it is, with what is held, to another stream; return what that goes on from.

        Raises as `settle` does. What is due by now is done first: nobody will ask again.
        """
        self.due(now_ms)
        await self._finish()
        return self.meter.snapshot()

    async def abandon(self) -> None:
        """Pay nothing more: another stream does."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _finish(self) -> None:
        self._paying.close()
        await self._running


def _tell(task: "asyncio.Task[None]", failed: Callable[[BaseException], None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        failed(error)
