"""What a call by audio pays: seconds of the caller streamed and of the agent heard, within what a minute holds."""

from collections.abc import Callable, Mapping
from typing import Final

import structlog

from gateway.errors import StaleLeaseError
from gateway.live_calls import CallFigures
from gateway.services import Services
from gateway.voice.call import Call
from gateway.voice.credit.meter_effects import CutOff
from gateway.voice.credit.opening_meter import Paid
from gateway.voice.credit.paying import Word
from gateway.voice.credit.resumed_meter import ResumedMeter
from gateway.voice.credit.stream_money import StreamMoney
from gateway.voice.media.playout import Playout

UNPAID_MS: Final = 5_000  # to say goodbye in, where a minute has begun that nothing pays

log = structlog.get_logger(__name__)


class MediaMoney:
    """A call's meter, fed with what was heard, until it is settled or left to another stream.

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
        self._stream = StreamMoney(
            self._services,
            call,
            paid,
            count="audio",
            notice_ms=self._notice_ms,
            zero_ms=zero_ms,
            now_ms=self._now_ms,
            take_usage=self._take_usage,
            answered=self._answered,
            minute_held=self._minute_held,
            failed=self._failed,
        )
        self._minute_held(self._stream.meter.minute + 1)

    @property
    def elapsed_ms(self) -> int:
        """How long the call goes on, since its first stream began."""
        return self._elapsed_ms + self._now_ms() - self._zero_ms

    def figures(self, state: str) -> CallFigures:
        return self._stream.figures(self.elapsed_ms / 1000, state)

    def heard_caller(self, ms: int) -> None:
        self._stream.meter.heard_caller(ms)

    def due(self, now_ms: int) -> list[Word]:
        """Have done what is for the ledger; return what the conversation is to know."""
        self._count_played(now_ms)
        return self._stream.due(now_ms)

    def next_due_ms(self, now_ms: int) -> int:
        return self._stream.next_due_ms(now_ms)

    def stop(self, now_ms: int) -> None:
        """Count nothing more."""
        self._count_played(now_ms)
        self._stream.stop(now_ms)

    async def settle(self, now_ms: int) -> ResumedMeter:
        """Charge what was used; as `StreamMoney.settle`."""
        self._count_played(now_ms)
        return await self._stream.settle(now_ms)

    async def pause(self, now_ms: int) -> ResumedMeter:
        """Leave the minute to another stream; as `StreamMoney.pause`."""
        self._count_played(now_ms)
        return await self._stream.pause(now_ms)

    async def abandon(self) -> None:
        """Pay nothing more: another stream does."""
        await self._stream.abandon()

    def _count_played(self, now_ms: int) -> None:
        self._stream.meter.played(self._playout.billable_heard_ms(now_ms) - self._played_before_ms)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, StaleLeaseError):
            self._lost()
            return
        log.warning("call_unpaid", call_id=str(self._call_id), error=type(error).__name__)
        self._unpaid(CutOff(self._now_ms() + UNPAID_MS))
