"""A voice note's length is read from its last page."""

import struct

import pytest

from gateway.ogg import opus_duration_s


def page(granule: int, body: bytes, *, segments: bytes | None = None) -> bytes:
    table = segments if segments is not None else bytes([*[255] * (len(body) // 255), len(body) % 255])
    return struct.pack("<4sBBqIIIB", b"OggS", 0, 0, granule, 7, 0, 0, len(table)) + table + body


def opus(*granules: int, pre_skip: int = 312) -> bytes:
    head = b"OpusHead" + bytes([1, 1]) + struct.pack("<HIhB", pre_skip, 16_000, 0, 0)
    return page(0, head) + page(0, b"OpusTags") + b"".join(page(granule, b"x" * 600) for granule in granules)


@pytest.mark.parametrize("seconds", [0, 1, 59.5, 300])
def test_the_length_is_the_last_granule_without_the_pre_skip(seconds: float) -> None:
    assert opus_duration_s(opus(960, int(seconds * 48_000) + 312)) == pytest.approx(max(seconds, 0.0135), abs=1e-9)


def test_a_page_on_which_no_packet_ends_does_not_count() -> None:
    assert opus_duration_s(opus(48_312, -1)) == 1


def test_a_file_cut_off_in_a_page_counts_as_far_as_it_goes() -> None:
    assert opus_duration_s(opus(48_312, 96_312)[:-300]) == 2
    assert opus_duration_s(opus(48_312, 96_312)[:-620]) == 1


def test_the_word_oggs_inside_the_sound_is_not_taken_for_a_page() -> None:
    note = opus(48_312) + page(96_312, page(2**40, b""))
    assert opus_duration_s(note) == 2


@pytest.mark.parametrize("content", [b"", b"OggS", b"ID3 an mp3", page(0, b"\x01vorbis"), page(0, b"OpusHead")])
def test_what_is_not_ogg_opus_has_no_known_length(content: bytes) -> None:
    assert opus_duration_s(content) is None
