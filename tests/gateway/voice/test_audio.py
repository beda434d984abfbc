"""Telephone audio made from samples: as G.711 has it, and without what a telephone does not carry."""

import math
import struct

import pytest

from gateway.voice.audio import SILENCE, encode_mulaw, notice_audio, resample


def samples(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


def tone(hz: float, *, rate: int, seconds: float = 0.5, loud: int = 10_000) -> bytes:
    return samples(*(round(loud * math.sin(2 * math.pi * hz * at / rate)) for at in range(int(rate * seconds))))


def level_db(audio: bytes, *, loud: int = 10_000) -> float:
    """Return how loud a tone is beside a full one, without the ends where the filter reaches into silence."""
    values = struct.unpack(f"<{len(audio) // 2}h", audio)[100:-100]
    power = sum(value * value for value in values) / len(values)
    return 10 * math.log10(max(power, 1e-6) / (loud * loud / 2))


def decoded(byte: int) -> int:
    """Return the sample that a byte of mu-law stands for, by the standard's own rule."""
    code = ~byte & 0xFF
    size = (((code & 0x0F) << 3) + 132 << (code >> 4 & 7)) - 132
    return -size if code & 0x80 else size


def test_every_sample_becomes_the_byte_whose_own_sample_is_next_to_it() -> None:
    every = range(-32768, 32768)
    levels = sorted({decoded(byte) for byte in range(256)})
    made = encode_mulaw(samples(*every))
    assert len(made) == 65536
    for sample, byte in zip(every, made, strict=True):
        step = 8 << (~byte >> 4 & 7)
        assert abs(decoded(byte) - max(-32635, min(32635, sample))) <= step // 2, sample
    assert {decoded(byte) for byte in made} == set(levels)


def test_the_bytes_that_the_standard_names_are_met() -> None:
    assert encode_mulaw(samples(0, 32767, -32768, -1)) == bytes([0xFF, 0x80, 0x00, 0x7F])
    assert encode_mulaw(samples(0))[0] == SILENCE


def test_half_a_sample_at_the_end_is_left_out() -> None:
    assert encode_mulaw(samples(1000) + b"\x01") == encode_mulaw(samples(1000))


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_what_a_telephone_carries_stays_and_what_would_fold_back_into_it_goes(rate: int) -> None:
    for hz in (300, 1000, 3000):
        assert level_db(resample(tone(hz, rate=rate), rate)) == pytest.approx(0, abs=0.3)
    for hz in (4600, 5000, 7000):
        assert level_db(resample(tone(hz, rate=rate), rate)) < -45


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("length_s", [0.0, 0.02, 0.5])
def test_the_length_stays(rate: int, length_s: float) -> None:
    assert len(resample(tone(440, rate=rate, seconds=length_s), rate)) == round(8000 * length_s) * 2


def test_the_loudest_tone_is_cut_off_and_does_not_wrap_around() -> None:
    square = samples(*([32767] * 24 + [-32768] * 24) * 50)
    audio = struct.unpack("<800h", resample(square, 24_000))
    assert max(audio) == 32767
    assert min(audio) == -32768
    assert audio[404] > 30_000  # in the middle of a plateau


@pytest.mark.parametrize("rate", [0, 4_000, 22_050, 44_100, 56_000, 96_000])
def test_a_rate_that_does_not_divide_is_refused(rate: int) -> None:
    with pytest.raises(ValueError, match=str(rate)):
        resample(b"", rate)


def test_a_notice_is_whole_frames_that_end_in_silence() -> None:
    audio = notice_audio(tone(1000, rate=24_000, seconds=0.11), 24_000)
    assert len(audio) == 6 * 160
    assert audio[-80:] == bytes([SILENCE]) * 80
    assert notice_audio(b"", 24_000) == b""
