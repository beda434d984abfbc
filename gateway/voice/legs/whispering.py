"""What a person is told who is dialled for a caller (pure): who calls, for which business, and which key takes it."""

from collections.abc import Mapping
from typing import Final

from agents.agent import AgentConfiguration
from agents.texts import Language
from gateway.voice.notices import text_of

NAME_MAX: Final = 60  # characters: somebody chose it for themselves
_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "de": {
        "name": "{name} ruft {business} an.",
        "number": "Die Nummer {number} ruft {business} an.",
        "withheld": "Jemand mit unterdrückter Nummer ruft {business} an.",
        "plus": "plus",
    },
    "en": {
        "name": "{name} is calling {business}.",
        "number": "The number {number} is calling {business}.",
        "withheld": "Somebody with a withheld number is calling {business}.",
        "plus": "plus",
    },
}


def whisper_text(configuration: AgentConfiguration, *, business: str, contact_name: str, caller: str | None) -> str:
    """Return the words, in the agent's language; a number is said digit by digit."""
    words = _WORDS[configuration.language]
    if contact_name:
        who = words["name"].format(name=contact_name[:NAME_MAX], business=business)
    elif caller:
        digits = ", ".join(_in_groups(caller.removeprefix("+")))
        who = words["number"].format(number=f"{words['plus']} {digits}", business=business)
    else:
        who = words["withheld"].format(business=business)
    return f"{who} {text_of('whisper', configuration)}"


def _in_groups(digits: str) -> list[str]:
    """Return digits apart from each other, three in a breath."""
    return [" ".join(digits[at : at + 3]) for at in range(0, len(digits), 3)]
