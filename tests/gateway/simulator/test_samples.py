"""What the simulated customer sends: files that the gateway takes for real ones."""

import pytest

from gateway.ogg import opus_duration_s
from gateway.simulator.phone.samples import picture, transcript_of, voice_note


@pytest.mark.parametrize("text", ["Hallo", "Grüße aus Köln 😊", "x" * 255, "x" * 900])
def test_a_voice_note_is_as_long_as_it_says_and_is_heard_as_it_was_typed(text: str) -> None:
    note = voice_note(4, text)
    assert opus_duration_s(note) == 4.0
    assert transcript_of(note) == text


def test_what_is_no_voice_note_of_ours_says_nothing() -> None:
    assert transcript_of(b"OggS but of somebody else") == ""


def test_the_picture_is_a_png() -> None:
    assert picture().startswith(b"\x89PNG\r\n\x1a\n")
