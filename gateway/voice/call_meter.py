"""The meter of one call (pure): when its minutes begin and end, what they are settled for, and when it must stop.

A minute's audio is held before the minute begins and settled once, at its end or the call's, for what was used. What
is settled is never more than what is held, whatever the caller does and whenever anybody answers: what does not fit is
left to the next minute, and lost to us if there is none.

The session performs the effects and answers `HoldMinute` and `EnlargeHold` by `held` or `refused`; after an answer it
asks `due` again. Times are milliseconds on the call's clock, amounts are millicredits.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Literal

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
from gateway.voice.credit.metered_minutes import MINUTE_MS, AudioHold, MinuteUsage, VoiceRates
from gateway.voice.credit.resumed_meter import ResumedMeter
from gateway.voice.credit.tally import Tally

__all__ = [
    "BeginMinute",
    "CallMeter",
    "Continued",
    "CutOff",
    "EnlargeHold",
    "HoldMinute",
    "MeterEffect",
    "MinuteUsage",
    "ResumedMeter",
    "SettleMinute",
    "VoiceRates",
    "WrapUp",
]

CLOSING_MS: Final = 1_500  # beside the notice: what is said is cut, the notice is sent, the call is hung up
WRAP_UP_MS: Final = 5_000  # for the last words, where the next minute cannot be held
AUDIO_LEFT_MS: Final = 600  # of worst-case audio, when no more of it goes through
RETRY_MS: Final = 2_000  # a top-up may have come
ANSWER_MS: Final = 1_000  # after that, no answer is as good as no


class CallMeter:
    """One call's meter.

    `first_held_millicredits`: held for the audio of the minute that begins with the stream; none does where a resumed
    meter's minute still runs. `notice_ms`: how long the notice is that ends a call without credits. `count`: audio
    streamed and heard, or a text engine's tokens; the other kind counts nothing. `minute` is the one that runs.
    """

    def __init__(
        self,
        rates: VoiceRates,
        *,
        first_held_millicredits: int,
        notice_ms: int = 0,
        resumed: ResumedMeter | None = None,
        hold_ahead_ms: int = 8_000,
        count: Literal["audio", "text"] = "audio",
    ) -> None:
        self._rates = rates
        self._ending_ms = notice_ms + CLOSING_MS
        self._hold_ahead_ms = max(hold_ahead_ms, self._ending_ms + WRAP_UP_MS)
        self._counts: Literal["audio", "text", "nothing"] = count
        self._tally = Tally()
        self.minute = 0
        self._hold: AudioHold | None = None  # of the minute that runs
        self._next: AudioHold | None = AudioHold(first_held_millicredits, first_held_millicredits >= rates.audio_max)
        self._ends_ms = 0  # when the minute ends, and the next one begins
        self._asked: dict[int, int] = {}  # minutes without an answer yet, and since when
        self._again: dict[int, int] = {}  # minutes not held in full, and when to ask again
        self._is_refused = False  # the next minute, so far
        self._wraps_up = self._is_cut_off = self._is_closed = False
        self._looked_ms = -1  # when `due` was last asked
        self._has_news = True  # since then
        if resumed is not None:
            self._resume(resumed)
        self._agent_ms_before = self._tally.agent_ms

    def _resume(self, resumed: ResumedMeter) -> None:
        self.minute = resumed.minute
        self._tally = replace(resumed.tally)
        if resumed.minute_age_ms is not None:
            self._hold, self._next = resumed.hold, resumed.ahead
            self._ends_ms = MINUTE_MS - resumed.minute_age_ms

    def snapshot(self) -> ResumedMeter:
        """Return what another process goes on from, as of the last `due`."""
        return ResumedMeter(
            minute=self.minute,
            minute_age_ms=None if self._hold is None else MINUTE_MS - self._ends_ms + self._looked_ms,
            hold=self._hold,
            ahead=self._next,
            tally=replace(self._tally),
        )

    @property
    def input_tokens(self) -> int:
        return self._tally.input_tokens

    @property
    def output_tokens(self) -> int:
        return self._tally.output_tokens

    @property
    def charged_millicredits(self) -> int:
        """The fees of all minutes that have begun, and the audio of those that are settled."""
        return self.minute * self._rates.minute + self._rates.cost(*self._tally.settled)

    @property
    def unsettled_millicredits(self) -> int:
        """What the minute would be settled for now."""
        return (
            0 if self._hold is None else self._rates.cost(*self._tally.to_settle(self._rates, self._hold.millicredits))
        )

    @property
    def held_millicredits(self) -> int:
        """All that is held now: the minute's audio, and the fee and audio of the next one."""
        ahead = 0 if self._next is None else self._rates.minute + self._next.millicredits
        return ahead + (0 if self._hold is None else self._hold.millicredits)

    @property
    def held_ahead(self) -> int | None:
        """The minute that is held and has not begun: it is to be released when the call is over."""
        return None if self._next is None else self.minute + 1

    def heard_caller(self, ms: int) -> None:
        """Count audio of the caller that went to the engine."""
        if self._counts == "audio":
            self._tally.caller_ms += ms

    def played(self, total_billable_ms: int) -> None:
        """Count audio of the agent that the caller has heard: all of this stream's so far."""
        if self._counts == "audio":
            self._tally.agent_ms = max(self._tally.agent_ms, self._agent_ms_before + total_billable_ms)

    def read_tokens(self, tokens: int) -> None:
        """Count words of the caller that a text engine was given."""
        if self._counts == "text":
            self._tally.read_tokens += tokens
            self._has_news = True

    def spoke_tokens(self, tokens: int) -> None:
        """Count words of the agent that a text engine spoke."""
        if self._counts == "text":
            self._tally.spoken_tokens += tokens
            self._has_news = True

    def room_tokens(self) -> tuple[int, int]:
        """Return the tokens of input and output that this minute's hold still pays, both together."""
        if self._hold is None or self._counts == "nothing":
            return 0, 0
        return self._tally.room(self._rates, self._hold.millicredits)

    def due(self, now_ms: int) -> list[MeterEffect]:
        """Return what is to be done now, in this order."""
        self._looked_ms, self._has_news = now_ms, False
        if self._is_closed:
            return []
        effects = list(self._turn(now_ms))
        if self._counts != "nothing":
            effects += self._ask(now_ms)
            effects += self._warn(now_ms)
        return effects

    def held(self, minute: int, audio_millicredits: int, *, full: bool, now_ms: int) -> None:
        """Take the answer that a minute is held, in full or in part. Of a minute that is over it is no news."""
        if minute == self.minute and self._hold is not None:
            self._hold = AudioHold(audio_millicredits, full)
        elif minute == self.minute + 1:
            self._next = AudioHold(audio_millicredits, full)
            self._is_refused = False
        self._answered(minute, now_ms)

    def refused(self, minute: int, now_ms: int) -> None:
        """Take the answer that a minute cannot be held, or not more of it than is."""
        self._is_refused = self._is_refused or minute == self.minute + 1
        self._answered(minute, now_ms)

    def stop_audio(self, now_ms: int) -> None:
        """Count and ask for nothing more: the notice begins, or the stream is closed."""
        del now_ms  # nothing that came before is lost
        self._counts = "nothing"

    def close(self, now_ms: int) -> list[MeterEffect]:
        """Return the last settlement, and what time has brought before it. Nothing counts after that."""
        if self._is_closed:
            return []
        effects = list(self._turn(now_ms - 1))  # a minute that would begin just now is none
        effects += self._settle()
        self._counts, self._is_closed = "nothing", True
        return effects

    def next_due_ms(self, now_ms: int) -> int:
        """Return when to ask `due` again, if both always speak until then."""
        if self._is_closed:
            return now_ms + MINUTE_MS
        if self._has_news:
            return now_ms
        return max(now_ms, min((at for at in self._times(now_ms) if at > self._looked_ms), default=now_ms + MINUTE_MS))

    def _times(self, now_ms: int) -> Iterator[int]:
        yield self._ends_ms
        if self._counts == "nothing":
            return
        yield self._ends_ms - self._hold_ahead_ms
        yield from self._again.values()
        yield from (asked_ms + ANSWER_MS for asked_ms in self._asked.values())
        if not self._is_cut_off and self._is_lacking(now_ms):
            yield max(self._stops_ms(now_ms), self._looked_ms + 1)

    def _answered(self, minute: int, now_ms: int) -> None:
        self._asked.pop(minute, None)
        self._again[minute] = now_ms + RETRY_MS
        self._has_news = True

    def _turn(self, now_ms: int) -> Iterator[MeterEffect]:
        """Settle the minute that is over, begin the one that is held."""
        while now_ms >= self._ends_ms:
            yield from self._settle()
            if self._next is None:
                return
            self.minute += 1
            self._hold, self._next, self._is_refused = self._next, None, False
            self._ends_ms += MINUTE_MS
            if not self._hold.full:
                self._again.setdefault(self.minute, now_ms + RETRY_MS)
            yield BeginMinute(self.minute)

    def _settle(self) -> Iterator[MeterEffect]:
        if self._hold is not None:
            settled = self._tally.settle(self._rates, self._hold.millicredits)
            self._hold = None
            yield SettleMinute(MinuteUsage(self.minute, *settled))

    def _ask(self, now_ms: int) -> Iterator[MeterEffect]:
        for effect in self._wanted(now_ms):
            if effect.minute not in self._asked and now_ms >= self._again.get(effect.minute, now_ms):
                self._asked[effect.minute] = now_ms
                yield effect

    def _wanted(self, now_ms: int) -> Iterator[HoldMinute | EnlargeHold]:
        if not self._lasts(now_ms):
            yield EnlargeHold(self.minute)
        if self._next is None:
            if now_ms >= self._ends_ms - self._hold_ahead_ms:
                yield HoldMinute(self.minute + 1)
        elif not self._next.full:
            yield EnlargeHold(self.minute + 1)

    def _warn(self, now_ms: int) -> Iterator[MeterEffect]:
        if not self._is_lacking(now_ms):
            if self._wraps_up and self._hold is not None:
                self._wraps_up = self._is_cut_off = False
                yield Continued()
            return
        stops_ms = self._stops_ms(now_ms)
        if not self._wraps_up:
            self._wraps_up = True
            yield WrapUp(max(0, stops_ms - now_ms))
        if now_ms >= stops_ms and not self._is_cut_off:
            self._is_cut_off = True
            yield CutOff(self._ends_ms if self._next is None else self._ends_ms + MINUTE_MS)

    def _is_lacking(self, now_ms: int) -> bool:
        """Tell whether credits are short: not all is held that could be used."""
        if self._next is not None:
            return not (self._next.full and self._lasts(now_ms))
        asked_ms = self._asked.get(self.minute + 1, now_ms)
        return self._is_refused or now_ms - asked_ms >= ANSWER_MS or (self._hold is not None and not self._hold.full)

    def _lasts(self, now_ms: int) -> bool:
        """Tell whether the minute's hold pays to its end, if both always speak."""
        hold, left_ms = self._hold, self._ends_ms - now_ms
        return hold is None or hold.full or self._tally.pays_ms(self._rates, hold.millicredits) >= left_ms

    def _stops_ms(self, now_ms: int) -> int:
        """Return when the audio must stop, if both always speak and nothing more can be held."""
        stops_ms = self._ends_ms - self._ending_ms
        if self._next is not None:
            stops_ms += MINUTE_MS
            if not self._next.full:
                pays_ms = self._rates.pays_ms(self._next.millicredits)
                stops_ms = min(stops_ms, self._ends_ms + max(0, pays_ms - AUDIO_LEFT_MS))
        if self._hold is None or self._hold.full or (self._next is not None and self._lasts(now_ms)):
            return stops_ms
        pays_ms = self._tally.pays_ms(self._rates, self._hold.millicredits)
        return min(stops_ms, now_ms + pays_ms - AUDIO_LEFT_MS)
