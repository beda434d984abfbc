"""A voice for what is simulated: small, offline, German and English and a few more.

Where the voice is not installed (it comes with the extra "demo"), each word is a tone as long as the word would take:
the timing of a call stays the same.
"""

import math
import re
import struct
from functools import lru_cache
from threading import Lock

from gateway.simulator.speech_detection import FRAME_BYTES, LOUD, loudness
from gateway.voice.audio import SILENCE, notice_audio

try:
    from py_nanotts import NanoTTS
except ImportError:  # pragma: no cover - the extra is installed where tests run
    NanoTTS = None

VOICE_HZ = 16_000
TEXT_MAX = 2_000  # some two minutes
_UNSPEAKABLE = re.compile("[<>&\x00\ud800-\udfff]")  # signs of the voice's markup, and what UTF-8 does not carry
_VOICES = {"de": "de-DE", "en": "en-GB", "es": "es-ES", "fr": "fr-FR", "it": "it-IT"}
_PAUSE_FRAMES_MAX = 14  # a longer pause ends an utterance for whoever listens
_TONES_HZ = (180, 220, 200, 240)
_one_at_a_time = Lock()  # the voice is native code that says nothing of threads


@lru_cache(maxsize=512)
def spoken(text: str, language: str) -> bytes:
    """Return speech as mu-law at 8 kHz in whole frames of 20 ms; pauses between sentences are kept short."""
    return _without_long_pauses(notice_audio(spoken_samples(text, language), VOICE_HZ))


def spoken_samples(text: str, language: str) -> bytes:
    """Return speech as 16-bit samples at 16 kHz."""
    words = " ".join(_UNSPEAKABLE.sub(" ", text[:TEXT_MAX]).split())
    if not words:
        return b""
    if NanoTTS is None:
        return tones(words)
    with _one_at_a_time:
        samples: bytes = NanoTTS().speak(words, voice=_VOICES.get(language.partition("-")[0].lower(), "en-GB"))
    return samples


def faster(samples: bytes) -> bytes:
    """Return 16-bit samples at 16 kHz as samples at 24 kHz: three for two, on straight lines between them."""
    given = struct.unpack(f"<{len(samples) // 2}h", samples[: len(samples) & ~1])
    made = [0] * (len(given) // 2 * 3)
    first, second = given[: len(given) & ~1 : 2], given[1::2]
    made[::3] = first
    made[1::3] = [(one + 2 * two) // 3 for one, two in zip(first, second, strict=True)]
    following = [*first[1:], 0][: len(second)]
    made[2::3] = [(2 * two + three) // 3 for two, three in zip(second, following, strict=True)]
    return struct.pack(f"<{len(made)}h", *made)


def tones(words: str) -> bytes:
    """Return one tone per word, as 16-bit samples at 16 kHz: some 70 ms a letter, and 60 ms between words."""
    made = bytearray()
    for at, word in enumerate(words.split()):
        turn = 2 * math.pi * _TONES_HZ[at % len(_TONES_HZ)] / VOICE_HZ
        length = VOICE_HZ * min(70 * len(word), 900) // 1000
        made += struct.pack(f"<{length}h", *(round(6000 * math.sin(turn * sample)) for sample in range(length)))
        made += bytes(2 * VOICE_HZ * 60 // 1000)
    return bytes(made)


def _without_long_pauses(audio: bytes) -> bytes:
    kept: list[bytes] = []
    quiet = 0
    for at in range(0, len(audio), FRAME_BYTES):
        frame = audio[at : at + FRAME_BYTES]
        quiet = 0 if loudness(frame) >= LOUD else quiet + 1
        if quiet <= _PAUSE_FRAMES_MAX:
            kept.append(frame)
    return b"".join(kept) or bytes([SILENCE]) * FRAME_BYTES
