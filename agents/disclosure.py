"""That one talks to a machine (pure): the sentence may be reworded, never removed.

Required of whoever lets an AI system talk to people: Regulation (EU) 2024/1689, article 50(1).
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.agent import AgentConfiguration

# "KI" and "AI" count as words in capitals only: "ki" is a syllable and "ai" a name.
_MACHINE = (
    r"(?:\b(?:KI|AI|A\.I\.)(?!\w)"
    r"|(?i:künstliche\w* intelligenz|artificial intelligence|chatbot|\bbot\b"
    r"|(?:digital|virtuell|automatisiert)e\w* assisten\w+"
    r"|(?:digital|virtual|automated) (?:\w+ )?assistant))"
)
# "not an AI", but not "not a human, but an AI".
_DENIAL = re.compile(
    r"(?i:\b(?:keine?|keinen|nicht|not|no|isn't|aren't|never|nie)(?:\s+(?!sondern\b|but\b|mensch|human|person)\w+){0,3})\s+"
    + _MACHINE
)
_NAMES_MACHINE = re.compile(_MACHINE)
_OWN_WORDS = re.compile(
    r"(?i:\b(?:ich bin|hier ist|hier antwortet|sie (?:schreiben|sprechen|chatten) (?:gerade )?mit"
    r"|i am|i'm|this is|you are (?:chatting|talking|writing) (?:to|with))\b)[^.!?]{0,80}" + _MACHINE
)


def names_a_machine(text: str) -> bool:
    """Return whether a sentence says that a machine is talking (and does not deny it)."""
    return bool(_NAMES_MACHINE.search(text)) and not _DENIAL.search(text)


def opening_text(configuration: "AgentConfiguration") -> str:
    """Return what the first answer of a conversation begins with: the greeting, and the disclosure if it lacks it."""
    if names_a_machine(configuration.greeting):
        return configuration.greeting
    return " ".join(part for part in (configuration.greeting, configuration.disclosure) if part)


def with_disclosure(text: str, configuration: "AgentConfiguration") -> str:
    """Return the first answer of a conversation, beginning with the disclosure unless it says so itself."""
    if _discloses(text, configuration):
        return text
    return f"{opening_text(configuration)}\n\n{text}".rstrip()


def _discloses(text: str, configuration: "AgentConfiguration") -> bool:
    if not names_a_machine(text):
        return False
    said = _plain(text)
    own = (configuration.disclosure, configuration.greeting if names_a_machine(configuration.greeting) else "")
    return any(sentence and _plain(sentence) in said for sentence in own) or bool(_OWN_WORDS.search(text))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
