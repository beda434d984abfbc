"""The demo's model on the phone: the same rules as in its chats, said aloud (pure but for what it remembers).

It thinks in the chat's words, with their lists and signs, and says them as one speaks; of each sentence it has said it
remembers the words it thought, because they hold the times it has offered.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.simulator.briefing import Language, read_briefing
from gateway.simulator.offline_model import think
from gateway.simulator.openai_chat import Said
from gateway.simulator.realtime_mind import Action, MindEvent, Remembered, SessionView, Spoken, UseTool, Utter
from gateway.simulator.understanding import language_of

REMEMBERED_MAX: Final = 500
_EXACTLY = re.compile(r'(?:wörtlich genau dies|exactly this).*?: "(.*)"\s*$', re.DOTALL)
_GOODBYE = re.compile(r"\b(tschüss|tschau|ciao|auf wieder(hören|sehen)|bye|goodbye)\b", re.IGNORECASE)
_KEYS = re.compile(r"^\[(?:Tasten gedrückt|Keys pressed): (.*)\]$")
_KEY_NAMES: Final[Mapping[Language, Mapping[str, str]]] = {
    "de": {"*": "Stern", "#": "Raute"},
    "en": {"*": "star", "#": "hash"},
}
_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "de": {
        "bye": "Sehr gern. Auf Wiederhören!",
        "unheard": "Das habe ich leider nicht verstanden. Können Sie es noch einmal sagen?",
        "transfer": "Einen Moment, ich verbinde Sie.",
        "message": "Ich kann leider nicht verbinden, nehme aber gern eine Nachricht auf. Was soll ich ausrichten?",
        "taken": "Das richte ich aus. Kann ich sonst noch etwas für Sie tun?",
        "here": "Ich bin noch da. Was kann ich für Sie tun?",
        "keys": "Sie haben {keys} gedrückt. Was kann ich für Sie tun?",
    },
    "en": {
        "bye": "You are very welcome. Goodbye!",
        "unheard": "I am sorry, I did not catch that. Could you say it again?",
        "transfer": "One moment, I am putting you through.",
        "message": "I cannot put you through, but I can take a message. What shall I pass on?",
        "taken": "I will pass that on. Is there anything else I can do for you?",
        "here": "I am still here. What can I do for you?",
        "keys": "You have pressed {keys}. What can I do for you?",
    },
}
# What one writes and does not say; each in turn, in this order.
_SPOKEN: Final[Mapping[Language, Sequence[tuple[str, str]]]] = {
    "de": (
        (r"Schön, dass Sie schreiben!", "Schön, dass Sie anrufen!"),
        (r"Ja, Sie schreiben mit", "Ja, Sie sprechen mit"),
        (r"Dann schreiben Sie einfach", "Dann sagen Sie einfach"),
        (r"Assistentin \(KI\)", "Assistentin, einer KI,"),
        (r"(\d\d:\d\d)-(\d\d:\d\d)", r"\1 bis \2 Uhr"),
        (r"(\d\d):(\d\d)( Uhr)?", r"\1 Uhr \2"),
        (r" Uhr 00", " Uhr"),
        (r"\b0(\d Uhr)", r"\1"),
        (r" Uhr 0(\d)", r" Uhr \1"),
        (r"(\d+) Uhr bis (\d+ Uhr)(?! \d)", r"\1 bis \2"),
        (r"\b(\d)(\d)(\d)(\d)(\d) (?=[A-ZÄÖÜ])", r"\1 \2 \3 \4 \5 "),
    ),
    "en": (
        (r"Yes, you are writing with", "Yes, you are speaking with"),
        (r"Then just write", "Then just say"),
        (r"assistant \(AI\)", "assistant, an AI"),
        (r"(\d\d:\d\d)-(\d\d:\d\d)", r"\1 to \2"),
        (r"\bab (\d)", r"from \1"),
        (r"(\d) Euro\b", r"\1 euros"),
    ),
}
_LISTED: Final = ("• ", "- ")
_DAY = re.compile(r"^\w+, \d+\.? \w+, ")
_CLOCK = re.compile(r"\b(\d\d):(\d\d)\b")
_ASIDE = re.compile(r"\s*\(([^)]*)\)")


def spoken_form(text: str, language: Language) -> str:
    """Return a chat's text as one says it: lists as a sentence, no signs, times in words."""
    lines = [line.strip() for line in text.replace(" ✓", ":").splitlines() if line.strip()]
    said, day = "", ""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        words = line.lstrip("•- ").rstrip(",")
        if line.startswith(_LISTED):
            found = _DAY.match(words)
            words = words.removeprefix(day) if day else words  # the day is said once
            day = found[0] if found else ""
            end = ";" if following.startswith(_LISTED) else "."
        else:
            day, end = "", "" if words[-1:] in ".:;?!" else "."
        said += f"{words}{end} "
    for pattern, spoken in _SPOKEN[language]:
        said = re.sub(pattern, spoken, said)
    said = _CLOCK.sub(_english_time, said)
    said = re.sub(r",(\s*[,.;])", r"\1", _ASIDE.sub(r", \1,", said))
    return re.sub(r"\s+", " ", said.replace("„", "").replace("“", "").replace("”", "")).strip()


def _english_time(found: re.Match[str]) -> str:
    hour, minute = int(found[1]), found[2]
    half = "am" if hour < 12 else "pm"
    return f"{(hour - 1) % 12 + 1} {half}" if minute == "00" else f"{(hour - 1) % 12 + 1}:{minute} {half}"


class OfflineVoice:
    """A mind of rules. One for all calls: it keeps no more than what it has said lately."""

    def __init__(self) -> None:
        self._thought: dict[str, str] = {}  # by how it was said

    async def hear(self, session: SessionView, event: MindEvent) -> Sequence[Action]:
        """Return what to say or which tool to use."""
        if not isinstance(event, Spoken):
            exactly = _EXACTLY.search(event.instructions)
            if exactly is not None:
                return [Utter(exactly.group(1))]
        language = _language(session)
        words = _WORDS[language]
        last = next((item for item in reversed(session.items) if item.kind != "note"), None)
        if isinstance(event, Spoken) and not event.text:
            return [Utter(words["unheard"])]
        if last is None or last.kind == "agent":
            return [Utter(words["here"])]
        return self._answer(session, last, language)

    def _answer(self, session: SessionView, last: Remembered, language: Language) -> Sequence[Action]:
        words = _WORDS[language]
        if last.kind == "customer":
            if pressed := _KEYS.search(last.text):
                return [
                    Utter(
                        words["keys"].format(keys=", ".join(_KEY_NAMES[language].get(key, key) for key in pressed[1]))
                    )
                ]
            if _GOODBYE.search(last.text):
                return [Utter(words["bye"]), UseTool("end_call", {"reason": "said goodbye"})]
            if _asked_for_message(session, words["message"]):
                return [UseTool("take_message", {"text": last.text})]
        if last.kind == "tool_result" and _tool_of(session, last) == "take_message":
            return [Utter(words["taken"])]
        return self._think(session, language)

    def _think(self, session: SessionView, language: Language) -> Sequence[Action]:
        said = think({"model": "offline", "messages": self._messages(session)})
        words = _WORDS[language]
        if any(call.name == "handover" for call in said.calls):
            can_transfer = any(tool.get("name") == "transfer_call" for tool in session.tools)
            if can_transfer:
                return [Utter(words["transfer"]), UseTool("transfer_call", {"reason": "asked for a person"})]
            return [Utter(words["message"])]
        return self._actions(said, language)

    def _actions(self, said: Said, language: Language) -> Sequence[Action]:
        actions: list[Action] = [UseTool(call.name, call.arguments) for call in said.calls]
        if said.text:
            spoken = spoken_form(said.text, language)
            self._remember(spoken, said.text)
            actions.insert(0, Utter(spoken))
        return actions

    def _remember(self, spoken: str, thought: str) -> None:
        if len(self._thought) >= REMEMBERED_MAX:
            self._thought.pop(next(iter(self._thought)))
        self._thought[spoken] = thought

    def _messages(self, session: SessionView) -> list[Mapping[str, object]]:
        """Return the conversation as a chat's request has it."""
        messages: list[Mapping[str, object]] = [{"role": "system", "content": session.instructions}]
        for item in session.items:
            if item.kind == "customer" and item.text:
                messages.append({"role": "user", "content": item.text})
            elif item.kind == "agent":
                messages.append({"role": "assistant", "content": self._thought_of(item.text)})
            elif item.kind == "tool_call":
                function = {"name": item.name, "arguments": item.text}
                call = {"id": item.call_id, "type": "function", "function": function}
                messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
            elif item.kind == "tool_result":
                messages.append({"role": "tool", "tool_call_id": item.call_id, "content": item.text})
        return messages

    def _thought_of(self, spoken: str) -> str:
        """Return what was thought when this was said, also if the caller has heard only its beginning."""
        known = self._thought.get(spoken)
        if known is not None or not spoken:
            return known or spoken
        whole = (thought for said, thought in reversed(self._thought.items()) if said.startswith(spoken))
        return next(whole, spoken)


def _language(session: SessionView) -> Language:
    texts = [item.text for item in session.items if item.kind == "customer"]
    return language_of(texts, read_briefing(session.instructions).language)


def _tool_of(session: SessionView, result: Remembered) -> str:
    calls = (item.name for item in session.items if item.kind == "tool_call" and item.call_id == result.call_id)
    return next(calls, "")


def _asked_for_message(session: SessionView, question: str) -> bool:
    said = [item.text for item in session.items if item.kind == "agent"]
    return bool(said) and bool(said[-1]) and question.startswith(said[-1])
