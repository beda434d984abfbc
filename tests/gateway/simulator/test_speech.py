"""The simulated voice: as long as speech, as loud as speech, and without what native code stumbles over."""

import struct

import pytest

from gateway.simulator.speech import TEXT_MAX, faster, spoken, spoken_samples, tones
from gateway.simulator.speech_detection import SpeechDetector, Started, Stopped, loudness

GREETING = {
    "de": "Guten Tag, hier ist der Salon Lindenhof. Wie kann ich Ihnen helfen?",
    "en": "Good morning, this is the Lindenhof salon. How can I help you?",
}


@pytest.mark.parametrize("language", ["de", "en", "de-DE", "en-US"])
def test_speech_lasts_as_long_as_a_person_would_take_and_is_as_loud(language: str) -> None:
    text = GREETING[language[:2]]
    audio = spoken(text, language)
    assert len(audio) % 160 == 0
    words_per_s = len(text.split()) / (len(audio) / 8000)
    assert 1.5 < words_per_s < 5
    assert 45 < loudness(audio) < 90


def test_each_language_has_a_voice_of_its_own() -> None:
    assert spoken("Hotel Lindenhof", "de") != spoken("Hotel Lindenhof", "en")


def test_one_who_listens_hears_several_sentences_as_one_utterance() -> None:
    detector = SpeechDetector(silence_ms=500)
    events = detector.hear(bytes([0xFF]) * 1600 + spoken(GREETING["de"], "de") + bytes([0xFF]) * 8000)
    assert [type(event) for event in events] == [Started, Stopped]


@pytest.mark.parametrize("text", ["", "   ", "<>&", "\x00"])
def test_nothing_to_say_is_a_moment_of_silence(text: str) -> None:
    assert loudness(spoken(text, "de")) == 0
    assert len(spoken(text, "de")) == 160


@pytest.mark.parametrize("text", ["Grüße 😊", "a <volume level='900'> & b", "kaputt \ud83d", "14:30 Uhr, 29,90 €"])
def test_any_text_can_be_spoken(text: str) -> None:
    assert loudness(spoken(text, "de")) > 20


def test_a_text_without_an_end_is_cut() -> None:
    # The voice never says a thing twice alike, but as long.
    endless, longest = "Ja. " * TEXT_MAX, "Ja. " * (TEXT_MAX // 4)
    assert len(spoken_samples(endless, "de")) == len(spoken_samples(longest, "de"))


def test_without_a_voice_each_word_is_a_tone_that_lasts_as_long() -> None:
    samples = tones("Guten Tag")
    assert len(samples) == 2 * 16_000 * (350 + 60 + 210 + 60) // 1000
    assert max(struct.unpack(f"<{len(samples) // 2}h", samples)) > 5000


def test_speech_for_a_faster_clock_is_the_same_speech() -> None:
    slow = struct.pack("<8h", 0, 300, 600, 900, 1200, 1500, 1800, 2100)
    quick = struct.unpack("<12h", faster(slow))
    assert quick[:11] == (0, 200, 400, 600, 800, 1000, 1200, 1400, 1600, 1800, 2000)
    assert faster(b"") == b""
    assert len(faster(slow + b"\x00")) == len(faster(slow))
