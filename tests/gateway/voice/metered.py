"""A meter on virtual time, with a wallet of its own that answers it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.voice.call_meter import (
    BeginMinute,
    CallMeter,
    CutOff,
    EnlargeHold,
    HoldMinute,
    MeterEffect,
    MinuteUsage,
    SettleMinute,
    VoiceRates,
)

RATES = VoiceRates(minute=95_000, input_token=295, output_token=590)
FULL = RATES.audio_max
NOTICE_MS = 4_000


@dataclass
class Wallet:
    """Credits, and what is held of them for a call's minutes. Of audio not less than `least` is held."""

    balance: int
    least: int = 100_000
    audio: dict[int, int] = field(default_factory=dict)  # held, by minute
    ever_held: int = 0

    def hold(self, minute: int) -> int | None:
        """Return what is held for the minute's audio; the fee is taken beside it."""
        amount = min(FULL, self.balance - RATES.minute)
        if amount < self.least:
            return None
        self.balance -= RATES.minute + amount
        self.audio[minute] = amount
        self.ever_held += amount
        return amount

    def enlarge(self, minute: int) -> int | None:
        missing = FULL - self.audio[minute]
        if self.balance < missing:
            return None
        self.balance -= missing
        self.ever_held += missing
        self.audio[minute] = FULL
        return FULL

    def settle(self, usage: MinuteUsage) -> None:
        used = RATES.cost(usage.input_tokens, usage.output_tokens)
        self.balance += self.audio.pop(usage.minute) - used
        assert self.balance >= 0


@dataclass
class MeteredCall:
    """The session's part: whatever the meter asks for is done, answers come `answer_ms` later."""

    meter: CallMeter
    wallet: Wallet
    answer_ms: int = 0
    now: int = 0
    log: list[tuple[int, MeterEffect]] = field(default_factory=list)
    heard_ms: int = 0
    stops: bool = True  # the audio, when it is cut off
    cut_offs: list[tuple[int, int, bool]] = field(default_factory=list)  # ms left, ms of audio paid, is next held
    _answers: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    def run(self, until: int, *, caller: bool = True, agent: bool = True, tick_ms: int = 20) -> None:
        """Let time pass in which they speak or not."""
        while True:
            self._look()
            if self.now >= until:
                return
            at = min(self.now + tick_ms, until)
            if caller:
                self.meter.heard_caller(at - self.now)
            if agent:
                self.heard_ms += at - self.now
                self.meter.played(self.heard_ms)
            self.now = at

    def close(self) -> list[MeterEffect]:
        effects = self.meter.close(self.now)
        self._note(effects)
        return effects

    def _look(self) -> None:
        while self._answers and self._answers[0][0] <= self.now:
            self._answers.pop(0)[1]()
        if self.meter.next_due_ms(self.now) > self.now:
            return
        effects = self.meter.due(self.now)
        self._note(effects)
        for effect in effects:
            if isinstance(effect, HoldMinute | EnlargeHold):
                self._answers.append((self.now + self.answer_ms, lambda effect=effect: self._answer(effect)))  # type: ignore[misc]
            if isinstance(effect, CutOff) and self.stops:
                self.meter.stop_audio(self.now)
        if any(at <= self.now for at, _ in self._answers):
            self._look()

    def _answer(self, effect: HoldMinute | EnlargeHold) -> None:
        minute = effect.minute
        if isinstance(effect, HoldMinute):
            amount = self.wallet.hold(minute)
        else:
            amount = self.wallet.enlarge(minute) if minute in self.wallet.audio else None
        if amount is None:
            self.meter.refused(minute, self.now)
        else:
            self.meter.held(minute, amount, full=amount == FULL, now_ms=self.now)

    def _note(self, effects: list[MeterEffect]) -> None:
        for effect in effects:
            self.log.append((self.now, effect))
            if isinstance(effect, SettleMinute):
                self.wallet.settle(effect.usage)
            if isinstance(effect, CutOff):
                left = self.wallet.audio.get(self.meter.minute, 0) - self.meter.unsettled_millicredits
                is_next_held = self.meter.minute + 1 in self.wallet.audio
                self.cut_offs.append((effect.by_ms - self.now, RATES.pays_ms(left), is_next_held))

    def of(self, kind: type[MeterEffect]) -> list[tuple[int, MeterEffect]]:
        return [(at, effect) for at, effect in self.log if isinstance(effect, kind)]

    def settled(self) -> list[MinuteUsage]:
        return [effect.usage for _, effect in self.log if isinstance(effect, SettleMinute)]

    def fees_at(self) -> list[int]:
        return [at for at, effect in self.log if isinstance(effect, BeginMinute)]


def metered(balance: int, *, notice_ms: int = NOTICE_MS, answer_ms: int = 0, stops: bool = True) -> MeteredCall:
    """A call whose first minute is held, as far as the wallet pays it."""
    wallet = Wallet(balance)
    first = wallet.hold(1)
    assert first is not None
    meter = CallMeter(RATES, first_held_millicredits=first, notice_ms=notice_ms)
    return MeteredCall(meter, wallet, answer_ms, stops=stops)
