"""Calls and their wallet in plain Python: what is held and charged, said once more without batches, rows or SQL."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.gateway.voice.paying import AUDIO, FEE, LEAST_AUDIO, STEP

STREAM_BEGINS = timedelta(seconds=15)
LEASE = timedelta(seconds=30)
LONG_AGO = datetime.min.replace(tzinfo=UTC)

Answer = int | str  # an amount, or why not


@dataclass
class Minute:
    """One minute of a call. `fee` and `audio`: what is held; None if nothing is."""

    fee: int | None = None
    audio: int | None = None
    expires_at: datetime = LONG_AGO
    begun: bool = False
    settled: list[int] = field(default_factory=list)  # by each stream that had it

    @property
    def held(self) -> int:
        return (self.fee or 0) + (self.audio or 0)


@dataclass
class ModelCall:
    """One call, its minutes by number."""

    lease_until: datetime
    is_live: bool = False
    epoch: int = 0
    ended: bool = False
    duration_s: int | None = None
    corrected: bool = False
    minutes: dict[int, Minute] = field(default_factory=dict)

    @property
    def held(self) -> int:
        return sum(minute.held for minute in self.minutes.values())

    @property
    def charged(self) -> int:
        return max((number for number, minute in self.minutes.items() if minute.begun), default=0)


@dataclass
class Model:
    """One tenant's credits and calls."""

    now: datetime
    balance: int = 0
    paused: bool = False
    calls: list[ModelCall] = field(default_factory=list)

    @property
    def held(self) -> int:
        return sum(call.held for call in self.calls)

    @property
    def available(self) -> int:
        return self.balance - self.held

    def grant(self, amount: int) -> None:
        self.balance += amount
        self.paused = False

    def ring(self) -> ModelCall:
        self.calls.append(ModelCall(lease_until=self.now + STREAM_BEGINS))
        return self.calls[-1]

    def hold(self, call: ModelCall, number: int, expires_at: datetime) -> Answer:
        minute = call.minutes.setdefault(number, Minute())
        if minute.audio is not None and (minute.begun or minute.fee is not None):
            return minute.audio
        if self.paused:
            return "tenant_paused"
        fee = 0 if minute.begun or minute.fee is not None else FEE
        if self.balance < fee + LEAST_AUDIO:
            self.paused = True
            return "insufficient_credits"
        if self.available < fee + LEAST_AUDIO:
            return "credits_in_flight"
        minute.audio = fitting(self.available - fee)
        minute.fee = fee or minute.fee
        minute.expires_at = expires_at
        return minute.audio

    def enlarge(self, minute: Minute) -> Answer:
        if minute.audio is None:
            return "nothing"
        room = 0 if self.paused else self.available
        more = fitting(minute.audio + room) - minute.audio
        minute.audio += more
        return minute.audio if more else "nothing"

    def begin(self, minute: Minute) -> Answer:
        if not minute.begun:
            if minute.fee is None and self.available < FEE:
                return "unpaid"
            minute.fee, minute.begun = None, True
            self.balance -= FEE
        return FEE

    def settle(self, minute: Minute, cost: int) -> Answer:
        if minute.audio is None and cost > self.available:
            return 0
        amount = cost if minute.audio is None else min(cost, minute.audio)
        minute.audio = None
        self.balance -= amount
        if cost:
            minute.settled.append(amount)
        return amount

    def end(self, call: ModelCall) -> None:
        call.ended, call.is_live = True, False
        for minute in call.minutes.values():
            minute.fee = minute.audio = None
        self._correct(call)

    def tell_duration(self, call: ModelCall, duration_s: int) -> None:
        if call.duration_s is None:
            call.duration_s = duration_s
        self._correct(call)

    def _correct(self, call: ModelCall) -> None:
        if call.corrected or not call.ended or call.duration_s is None:
            return
        call.corrected = True
        for number in range(1, call.charged + 1):
            if (number - 1) * 60 >= call.duration_s:
                self.grant(FEE)

    def sweep(self) -> None:
        for call in self.calls:
            if not call.ended and call.lease_until <= self.now:
                self.end(call)
            for minute in call.minutes.values():
                if minute.expires_at <= self.now:
                    minute.fee = minute.audio = None

    def keep(self, call: ModelCall) -> None:
        call.lease_until = self.now + LEASE
        for minute in call.minutes.values():
            minute.expires_at = call.lease_until


def fitting(room: int) -> int:
    """Return what can be held of a minute's audio within `room`, which holds the least."""
    return AUDIO if room >= AUDIO else LEAST_AUDIO + (room - LEAST_AUDIO) // STEP * STEP
