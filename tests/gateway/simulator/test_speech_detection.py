"""When somebody speaks, told by how loud telephone audio is."""

from gateway.simulator.speech import spoken
from gateway.simulator.speech_detection import SpeechDetector, Started, Stopped, loudness

SILENCE = bytes([0xFF])
QUESTION = spoken("Haben Sie morgen noch etwas frei?", "de")


def hum(ms: int) -> bytes:
    """A quiet room: small samples of both signs."""
    return bytes((0x7F, 0xFF, 0xF9, 0x79, 0xF0, 0x70, 0xEA, 0x75)) * ms


def test_silence_and_a_quiet_room_are_nobody_speaking() -> None:
    detector = SpeechDetector()
    assert detector.hear(SILENCE * 16000) == []
    assert detector.hear(hum(2000)) == []
    assert loudness(SILENCE) == 0
    assert loudness(b"\x00") == 127
    assert loudness(b"") == 0


def test_speech_begins_and_ends_where_it_does() -> None:
    detector = SpeechDetector(silence_ms=500, prefix_ms=300)
    events = detector.hear(SILENCE * 8000 + QUESTION + SILENCE * 8000)
    started, stopped = events
    assert isinstance(started, Started)
    assert isinstance(stopped, Stopped)
    assert 700 <= started.at_ms <= 1000
    assert 0 < stopped.at_ms - (1000 + len(QUESTION) / 8) <= 500


def test_it_does_not_matter_in_what_pieces_audio_comes() -> None:
    whole = SILENCE * 3000 + QUESTION + SILENCE * 6000
    at_once, bit_by_bit = SpeechDetector(keep=True), SpeechDetector(keep=True)
    pieces = [event for at in range(0, len(whole), 37) for event in bit_by_bit.hear(whole[at : at + 37])]
    assert pieces == at_once.hear(whole)


def test_a_click_is_not_speech() -> None:
    detector = SpeechDetector(onset_ms=60)
    assert detector.hear(SILENCE * 800 + b"\x00" * 320 + SILENCE * 800) == []
    assert len(detector.hear(b"\x00" * 480)) == 1


def test_what_was_said_is_kept_with_a_little_before_it() -> None:
    detector = SpeechDetector(keep=True, prefix_ms=300)
    _started, stopped = detector.hear(SILENCE * 40_000 + QUESTION + SILENCE * 8000)
    assert isinstance(stopped, Stopped)
    assert QUESTION[: 8 * 400] in stopped.audio
    assert len(stopped.audio) < len(QUESTION) + 8 * 1000


def test_two_utterances_are_two() -> None:
    detector = SpeechDetector()
    events = detector.hear((SILENCE * 800 + QUESTION + SILENCE * 8000) * 2)
    assert [type(event) for event in events] == [Started, Stopped, Started, Stopped]
