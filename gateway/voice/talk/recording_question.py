"""Whether a call may be recorded (pure): asked once, after the greeting; the first answer counts."""

from typing import Literal

from agents.texts import Language
from gateway.voice.talk.signals import RecordCall
from gateway.voice.yes import is_yes


class RecordingQuestion:
    """The question, if there is one. Words that were said before it was asked do not answer it."""

    def __init__(self, language: Language, *, is_to_be_asked: bool) -> None:
        self._language = language
        self._state: Literal["no", "to_ask", "asked", "answering"] = "to_ask" if is_to_be_asked else "no"

    @property
    def is_to_be_asked(self) -> bool:
        return self._state == "to_ask"

    @property
    def is_open(self) -> bool:
        return self._state in ("asked", "answering")

    def ask(self) -> RecordCall:
        self._state = "asked"
        return RecordCall(agreed=None)

    def caller_began(self) -> None:
        if self._state == "asked":
            self._state = "answering"

    def hear(self, words: str) -> list[RecordCall]:
        return self._answer(words) if self._state == "answering" and words.strip() else []

    def press(self, key: str) -> list[RecordCall]:
        return self._answer(key) if self.is_open else []

    def _answer(self, answer: str) -> list[RecordCall]:
        self._state = "no"
        return [RecordCall(agreed=is_yes(answer, self._language))]
