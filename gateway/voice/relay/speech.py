"""What has been given to Twilio to speak, and how much of it the caller has heard (pure).

Twilio says what was heard when the caller interrupts, in words. While it speaks it may say so too, and may not: then
the clock guesses. What is counted is what was heard, once it is known: an utterance is heard to its end, or cut off.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from gateway.voice.relay.text import spoken_ms

SYNTHESIS_MS: Final = 700  # from our words to the first sound, at most
OVERDUE_PERCENT: Final = 150  # of the time that was guessed: then it is over whatever Twilio has not told
OVERDUE_MS: Final = 1_500
MATCH_LETTERS_MIN: Final = 4  # fewer are found anywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An utterance that is over: what we gave, when it began to be spoken, and what the caller heard of it."""

    text: str = field(repr=False)
    heard: str = field(repr=False)
    began_ms: int
    heard_ms: int
    interrupted: bool
    billable: bool


@dataclass(slots=True, kw_only=True)
class _Utterance:
    """One answer, greeting or notice. `places[n]` is where the n-th letter ends in the text."""

    text: str
    letters: str
    places: list[int]
    tokens: int
    billable: bool
    begins_ms: int
    lasts_ms: int
    played: int = 0  # letters

    @property
    def ends_ms(self) -> int:
        return self.begins_ms + self.lasts_ms

    def guessed(self, now_ms: int) -> int:
        """Return how many letters the clock says have been heard."""
        passed_ms = min(max(0, now_ms - self.begins_ms), self.lasts_ms)
        return len(self.letters) * passed_ms // self.lasts_ms if self.lasts_ms else len(self.letters)

    def _place(self, letters: int) -> int:
        return self.places[letters - 1] if letters else 0

    def over(self, letters: int, now_ms: int) -> Heard:
        """Return how it ended after so many letters."""
        heard = self.text if letters >= len(self.letters) else _whole_words(self.text, self._place(letters))
        return Heard(
            text=self.text,
            heard=heard,
            began_ms=min(self.begins_ms, now_ms),
            heard_ms=min(self.lasts_ms * len(heard) // max(1, len(self.text)), max(0, now_ms - self.begins_ms)),
            interrupted=letters < len(self.letters),
            billable=self.billable,
        )


class Speech:
    """The queue of what is being spoken. Times are milliseconds on the session's clock."""

    def __init__(self, count_tokens: Callable[[str], int]) -> None:
        self._count_tokens = count_tokens
        self._queue: deque[_Utterance] = deque()
        self._tells_words = False  # Twilio says what it has played
        self._tells_turns = False  # Twilio says when it speaks

    def say(self, text: str, now_ms: int, *, billable: bool) -> None:
        """Remember what was given to be spoken after all that waits already."""
        letters, places = _letters(text)
        begins_ms = max(now_ms, self._queue[-1].ends_ms) if self._queue else now_ms
        self._queue.append(
            _Utterance(
                text=text,
                letters=letters,
                places=places,
                tokens=self._count_tokens(text) if billable else 0,
                billable=billable,
                begins_ms=begins_ms,
                lasts_ms=spoken_ms(text),
            )
        )

    @property
    def is_playing(self) -> bool:
        """Whether something was given that is not known to be over."""
        return bool(self._queue)

    @property
    def waiting_tokens(self) -> int:
        """What was given and is not counted yet: the most that may still be."""
        return sum(utterance.tokens for utterance in self._queue)

    def next_due_ms(self) -> int | None:
        """Return when to call `due` again."""
        return self._over_ms(self._queue[0]) if self._queue else None

    def due(self, now_ms: int) -> list[Heard]:
        """Return what is over by now because its time is."""
        over: list[Heard] = []
        while self._queue and now_ms >= self._over_ms(self._queue[0]):
            over.append(self._ended(now_ms))
        return over

    def note_played(self, text: str, now_ms: int) -> list[Heard]:
        """Note words that Twilio has played; return what is over by that."""
        self._tells_words = True
        self._advance(_letters(text)[0])
        return self._finished(now_ms)

    def note_speaking(self, begun: bool, now_ms: int) -> list[Heard]:
        """Note that Twilio has begun or ceased to speak; return what is over by that.

        It also ceases between two sentences: what has hardly begun is not over.
        """
        self._tells_turns = True
        if begun:
            if self._queue and self._queue[0].begins_ms < now_ms:
                self._shift(now_ms)
            return []
        over: list[Heard] = []
        while (
            self._queue and not self._tells_words and 2 * self._queue[0].guessed(now_ms) >= len(self._queue[0].letters)
        ):
            over.append(self._ended(now_ms))
        return over

    def interrupt(self, heard: str, after_ms: int | None, now_ms: int) -> list[Heard]:
        """Note that the caller has cut us off; return everything that was given, as it was heard."""
        letters = self._place_of(_letters(heard)[0], at=(0, self._played)) if heard.strip() else 0
        if letters is None:
            letters = self._guessed(now_ms if after_ms is None else self._begun_ms(now_ms) + after_ms)
        return self._cut(letters, now_ms)

    def stop(self, now_ms: int) -> list[Heard]:
        """Note that nothing more is heard: the call is over, or something else is said instead."""
        return self._cut(0 if self._tells_words else self._guessed(now_ms), now_ms)

    def _cut(self, letters: int, now_ms: int) -> list[Heard]:
        over: list[Heard] = []
        while self._queue:
            utterance = self._queue.popleft()
            over.append(utterance.over(max(utterance.played, min(letters, len(utterance.letters))), now_ms))
            letters = max(0, letters - len(utterance.letters))
        return over

    def _ended(self, now_ms: int) -> Heard:
        utterance = self._queue.popleft()
        if self._queue and self._queue[0].begins_ms > now_ms:
            self._shift(now_ms)
        return utterance.over(len(utterance.letters), now_ms)

    def _finished(self, now_ms: int) -> list[Heard]:
        over: list[Heard] = []
        while self._queue and self._queue[0].played >= len(self._queue[0].letters):
            over.append(self._ended(now_ms))
        return over

    def _shift(self, now_ms: int) -> None:
        """Let what waits begin now: Twilio is sooner or later than was guessed."""
        for utterance in self._queue:
            utterance.begins_ms = now_ms
            now_ms = utterance.ends_ms

    def _over_ms(self, utterance: _Utterance) -> int:
        if self._tells_words or self._tells_turns:
            return utterance.begins_ms + utterance.lasts_ms * OVERDUE_PERCENT // 100 + OVERDUE_MS
        return utterance.ends_ms + SYNTHESIS_MS

    def _begun_ms(self, now_ms: int) -> int:
        return self._queue[0].begins_ms if self._queue else now_ms

    def _guessed(self, at_ms: int) -> int:
        return sum(utterance.guessed(at_ms) for utterance in self._queue)

    def _advance(self, played: str) -> None:
        """Move on to where these letters end; they follow what was played, or repeat it from its beginning."""
        place = self._place_of(played, at=(self._played, 0))
        if place is None:
            return
        for utterance in self._queue:
            utterance.played = max(utterance.played, min(place, len(utterance.letters)))
            place = max(0, place - len(utterance.letters))

    @property
    def _played(self) -> int:
        return sum(utterance.played for utterance in self._queue)

    def _place_of(self, letters: str, *, at: tuple[int, int]) -> int | None:
        """Return where these letters end among all that waits; None if they are not there.

        They begin `at` one of these places, or else anywhere. They may begin with what is over already, or, as Twilio
        reads numbers out, not be ours at all.
        """
        waiting = "".join(utterance.letters for utterance in self._queue)
        if not letters:
            return None
        for begins_at in at:
            if waiting.startswith(letters, begins_at):
                return begins_at + len(letters)
        found = waiting.find(letters)
        if found >= 0:
            return found + len(letters)
        for cut in range(1, len(letters) - MATCH_LETTERS_MIN + 1):
            if waiting.startswith(letters[cut:]):
                return len(letters) - cut
        return None


def tokens_heard(heard: Iterable[Heard], count_tokens: Callable[[str], int]) -> int:
    """Return what is counted of utterances that are over."""
    return sum(count_tokens(one.heard) for one in heard if one.billable and one.heard)


def _whole_words(text: str, place: int) -> str:
    """Return a text up to a place, or to the end of the word before it."""
    while 0 < place < len(text) and text[place].isalnum() and text[place - 1].isalnum():
        place -= 1
    return text[:place].rstrip()


def _letters(text: str) -> tuple[str, list[int]]:
    """Return a text's letters and digits alone, alike in case, and where each ends in the text.

    Twilio gives words back with other spaces, quotes and dashes than we gave them.
    """
    letters: list[str] = []
    places: list[int] = []
    for found in re.finditer(r"\w", text):
        for letter in found[0].casefold():
            letters.append(letter)
            places.append(found.end())
    return "".join(letters), places
