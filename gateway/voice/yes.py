"""Whether somebody has agreed to be recorded (pure): only a plain yes is one, everything else is a no.

The words are a closed list on purpose. "Yes, but …", "yes, an appointment", a cough and silence are no consent.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from agents.texts import Language

YES_KEY: Final = "1"
_YES: Final[Mapping[Language, frozenset[str]]] = {
    "de": frozenset(
        {"ja", "jawohl", "jep", "jo", "okay", "ok", "gern", "gerne", "klar", "natürlich", "selbstverständlich"}
        | {"einverstanden", "meinetwegen", "sicher"}
    ),
    "en": frozenset({"yes", "yeah", "yep", "yup", "okay", "ok", "sure", "certainly", "absolutely", "agreed", "agree"}),
}
# Said with a yes without changing it; alone they are none.
_BESIDE: Final[Mapping[Language, frozenset[str]]] = {
    "de": frozenset(
        {"ich", "bin", "damit", "das", "ist", "bitte", "danke", "sie", "können", "dürfen", "gut", "für", "mich", "doch"}
        | {"also", "na", "ähm", "äh", "hm", "mhm", "habe", "geht", "aufnehmen", "aufzeichnen", "mitschneiden", "es"}
    ),
    "en": frozenset(
        {"i", "am", "with", "that", "that's", "is", "it's", "please", "thank", "thanks", "you", "can", "may", "fine"}
        | {"by", "me", "of", "course", "um", "uh", "well", "record", "it", "this", "to", "do", "the", "call"}
    ),
}
_PHRASES: Final[Mapping[Language, tuple[str, ...]]] = {
    "de": ("in ordnung", "von mir aus", "kein problem", "geht klar", "stimme zu", "nichts dagegen"),
    "en": ("of course", "go ahead", "no problem", "all right", "fine with me", "fine by me", "that's fine"),
}
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


def is_yes(text: str, language: Language) -> bool:
    """Return whether what somebody said, or the key they pressed, is a yes and nothing else."""
    said = unicodedata.normalize("NFC", text).casefold().replace("\u2019", "'").strip()
    if said == YES_KEY:
        return True
    if any(char == "?" or char.isdigit() for char in said):  # asked back, or another key
        return False
    spoken = " ".join(_WORD.findall(said))
    agreed = False
    for phrase in _PHRASES[language]:
        found = f" {phrase} " in f" {spoken} "
        agreed = agreed or found
        spoken = f" {spoken} ".replace(f" {phrase} ", " ").strip()
    words = set(spoken.split())
    if not words <= _YES[language] | _BESIDE[language]:
        return False
    return agreed or bool(words & _YES[language])
