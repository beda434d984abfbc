"""What the meter of a call asks for (pure): the session does it, and answers where an answer is due."""

from dataclasses import dataclass

from gateway.voice.credit.metered_minutes import MinuteUsage


@dataclass(frozen=True, slots=True)
class HoldMinute:
    """Hold a minute that is about to begin: its fee and its audio."""

    minute: int


@dataclass(frozen=True, slots=True)
class BeginMinute:
    """Charge a minute's fee: it begins."""

    minute: int


@dataclass(frozen=True, slots=True)
class SettleMinute:
    """Capture what a minute's audio was, of what was held for it."""

    usage: MinuteUsage


@dataclass(frozen=True, slots=True)
class EnlargeHold:
    """Hold all of a minute's audio, instead of the part that could be held."""

    minute: int


@dataclass(frozen=True, slots=True)
class WrapUp:
    """The agent should come to an end: this is left at worst."""

    left_ms: int


@dataclass(frozen=True, slots=True)
class Continued:
    """What was said by `WrapUp` or `CutOff` no longer holds."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """Stop the audio now, give notice, and be gone by then."""

    by_ms: int


MeterEffect = HoldMinute | BeginMinute | SettleMinute | EnlargeHold | WrapUp | Continued | CutOff
