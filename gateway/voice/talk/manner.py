"""How one call is to be conducted (pure): what the owner chose, what the engine can, and our words for both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from agents.texts import Language

MS_PER_MINUTE: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """The call's settings. `texts` are what notices say, by kind; all times are milliseconds.

    `greeted`: the call goes on from an earlier stream, which ended because of `why`.
    """

    language: Language
    opening: str
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    interruptible_greeting: bool = True
    interrupts_itself: bool = True
    full_duplex: bool = False
    min_interrupt_ms: int = 0
    idle_prompt_ms: int = 10_000
    idle_end_after: int = 2
    ends_at_ms: int = 30 * MS_PER_MINUTE
    asks_recording: bool = False
    may_forward: bool = False
    forwards_when_credits_end: bool = False
    greeted: bool = False
    why: str = ""


def keys_pressed(keys: str, language: Language) -> str:
    """Return what the model is told of keys, as words of the caller's."""
    return {"de": f"[Tasten gedrückt: {keys}]", "en": f"[Keys pressed: {keys}]"}[language]


def disclosure_reminder(opening: str, language: Language) -> str:
    """Return what the model is told if the caller does not know yet that a machine is speaking."""
    return {
        "de": f'Der Anrufer hat noch nicht gehört, dass du eine KI bist. Sage es als Nächstes: "{opening}"',
        "en": f'The caller has not heard yet that you are an AI. Say so next: "{opening}"',
    }[language]


def recording_asked(question: str, language: Language) -> str:
    """Return what the model is told of the question that it has not asked itself."""
    return {
        "de": f'Der Anrufer wurde gerade gefragt: "{question}" Seine Antwort darauf ist schon vermerkt; '
        "frage nicht noch einmal und geh nicht darauf ein.",
        "en": f'The caller has just been asked: "{question}" Their answer to that is noted already; '
        "do not ask again and do not comment on it.",
    }[language]
