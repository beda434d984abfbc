"""What a call by text pays: words as tiktoken counts them, at the prices of voice, within what a minute holds."""

import asyncio
from collections.abc import Callable, Mapping

from gateway.live_calls import CallFigures
from gateway.services import Services
from gateway.voice.call import Call
from gateway.voice.call_credit import rates_for
from gateway.voice.call_meter import CallMeter
from gateway.voice.meter_effects import Continued, CutOff, WrapUp
from gateway.voice.opening_meter import Paid
from gateway.voice.paying import Paying
from gateway.voice.relay_text import spoken_ms
from gateway.voice.resumed_meter import ResumedMeter


class RelayMoney:
    """One stream's meter and its payments. Times are the session's; `zero_ms` is when this meter began.

    `failed` is told what ended the payments before their time.
    """

    def __init__(
        self,
        services: Services,
        call: Call,
        paid: Paid,
        *,
        zero_ms: int,
        now_ms: Callable[[], int],
        take_usage: Callable[[], Mapping[str, object]],
        answered: Callable[[], None],
        minute_held: Callable[[int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._zero_ms = zero_ms
        self._count = services.count_tokens
        self.meter = CallMeter(
            rates_for(services, call.account),
            first_held_millicredits=paid.first_held_millicredits,
            notice_ms=spoken_ms(call.configuration.voice.credits_end_text),
            resumed=paid.resumed,
            hold_ahead_ms=round(services.limits.hold_ahead_s * 1000),
            count="text",
        )
        self.paying = Paying(
            services,
            call,
            self.meter,
            paid.held,
            counted_by="tiktoken",
            now_ms=lambda: now_ms() - zero_ms,
            take_usage=take_usage,
            answered=answered,
            minute_held=minute_held,
        )
        self._running = asyncio.create_task(self.paying.run())
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

    def room_tokens(self) -> int:
        """Return how many of the agent's words this minute still pays."""
        return self.meter.room_tokens()[1]

    def read(self, text: str) -> None:
        """Count words of the caller."""
        self.meter.read_tokens(self._count(text))

    def spoke(self, text: str) -> None:
        """Count words of the agent that were heard."""
        self.meter.spoke_tokens(self._count(text))

    def due(self, now_ms: int) -> list[WrapUp | Continued | CutOff]:
        """Have done what is for the ledger; return what the conversation is to know, in the session's time."""
        words = self.paying.want(self.meter.due(now_ms - self._zero_ms))
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
        self.paying.want(self.meter.close(now_ms - self._zero_ms))
        await self._finish()
        await self.paying.release_ahead()
        return self.meter.snapshot()

    async def pause(self, now_ms: int) -> ResumedMeter:
        """Leave the minute as it is, with what is held, to another stream; return what that goes on from."""
        self.due(now_ms)
        await self._finish()
        return self.meter.snapshot()

    async def _finish(self) -> None:
        self.paying.close()
        await self._running


def _tell(task: "asyncio.Task[None]", failed: Callable[[BaseException], None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        failed(error)
