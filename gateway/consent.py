"""Consent words (pure): obeyed before the agent sees the text.

WhatsApp: Meta does not handle free text, so the gateway must. Only a message that is nothing but the word counts:
"Stop, ich habe eine Frage" is a question. CANCEL, END, QUIT and YES are ordinary words in a talk with a
business and mean nothing there.

SMS: Twilio obeys its own list before we hear of the message, so exactly that list is mirrored, and nothing that
Twilio would let pass. Where the webhook says what Twilio has done (OptOutType), that decides and not the words.
"""

import unicodedata
from collections.abc import Collection, Mapping

from gateway.channels.base import OptOutWord

STOP_WORDS = frozenset({"stop", "stopp", "stopall", "unsubscribe", "optout", "abmelden", "abbestellen", "austragen"})
SMS_WORDS: Mapping[str, OptOutWord] = {
    **dict.fromkeys(("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"), "stop"),
    **dict.fromkeys(("start", "yes", "unstop"), "start"),
    **dict.fromkeys(("help", "info"), "help"),
}
LONGEST_KEYWORD = 60  # characters; a longer message is talk, not a command


def is_stop(text: str) -> bool:
    """Return whether a WhatsApp message is one word that ends all writing. Any later own message opens it again."""
    return plain_words(text).replace("-", "") in STOP_WORDS


def sms_word(text: str) -> OptOutWord | None:
    """Return what Twilio takes an SMS for if it is one of its keywords, whatever its case and blanks around it."""
    return SMS_WORDS.get(text.strip().lower())


def is_keyword(text: str, keywords: Collection[str]) -> bool:
    """Return whether a message is nothing but one of the keywords, whatever its case and punctuation."""
    words = plain_words(text)
    return bool(words) and any(words == plain_words(keyword) for keyword in keywords)


def plain_words(text: str) -> str:
    """Return a short text as it would be said: no case, surrounding punctuation, emoji or doubled spaces."""
    if len(text) > LONGEST_KEYWORD:
        return ""
    folded = unicodedata.normalize("NFKC", text).casefold()
    spoken = "".join(char if unicodedata.category(char)[0] in "LNM" or char == "-" else " " for char in folded)
    return " ".join(spoken.split()).strip("- ")


def stopped_text(language: str) -> str:
    """Return the one confirmation that a STOP is answered with."""
    if language.lower().startswith("de"):
        return (
            "Sie erhalten keine weiteren Nachrichten von uns. "
            "Wenn Sie uns wieder schreiben möchten, senden Sie einfach eine neue Nachricht."
        )
    return "You will receive no further messages from us. If you want to talk to us again, just send a new message."
