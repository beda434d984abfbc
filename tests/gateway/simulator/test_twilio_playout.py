"""What a caller hears of a stream's audio, and when its marks are reached."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.twilio_playout import Player


def tone(ms: int) -> bytes:
    return bytes(at % 251 for at in range(8 * ms))


def heard(player: Player, now_ms: float) -> bytes:
    return b"".join(one.audio for one in player.heard(now_ms))


def test_audio_begins_after_the_delay_and_what_follows_joins_without_a_gap() -> None:
    player = Player(delay_ms=150)
    player.add(tone(100), 1_000)
    player.add(tone(50), 1_020)
    assert heard(player, 1_150) == b""
    assert player.is_playing(1_150)
    assert heard(player, 1_160) == tone(100)[:80]
    assert heard(player, 1_275) == tone(100) + tone(50)[:200]
    assert [(one.begins_ms, one.ms) for one in player.heard(2_000)] == [(1_150, 100), (1_250, 50)]
    assert not player.is_playing(1_300)
    player.add(tone(10), 1_400)  # the buffer had run dry: the delay is there again
    assert [one.begins_ms for one in player.heard(2_000)] == [1_150, 1_250, 1_550]


def test_marks_are_reached_in_order_when_what_was_before_them_has_played() -> None:
    player = Player(delay_ms=150)
    player.mark("at once", 0)
    player.add(tone(100), 0)
    player.mark("a", 10)
    player.mark("b", 10)
    assert player.due(0) == ["at once"]
    assert player.next_due_ms() == 250
    assert player.due(249) == []
    assert player.due(250) == ["a", "b"]
    assert player.next_due_ms() is None


def test_a_clear_keeps_what_was_heard_and_returns_the_marks_that_were_not() -> None:
    player = Player(delay_ms=0)
    player.add(tone(100), 0)
    player.mark("heard", 0)
    player.add(tone(100), 0)
    player.mark("cut", 0)
    assert player.due(100) == ["heard"]
    assert player.clear(130) == ["cut"]
    assert heard(player, 1_000) == tone(100) + tone(100)[:240]
    assert player.heard_ms(1_000) == 130
    assert player.due(1_000) == []


def test_what_comes_after_a_clear_does_not_wait_for_what_was_dropped() -> None:
    player = Player(delay_ms=50)
    player.add(tone(10_000), 0)
    player.clear(100)
    player.add(tone(10), 120)
    player.mark("next", 120)
    assert player.next_due_ms() == 180
    assert [one.begins_ms for one in player.heard(1_000)] == [50, 170]


@pytest.mark.parametrize("keeps_audio", [True, False])
def test_who_listens_along_gets_every_byte_once(keeps_audio: bool) -> None:
    player = Player(delay_ms=50, keeps_audio=keeps_audio)
    player.add(tone(40), 0)
    player.heard_ms(900)
    assert player.fresh(1_000) == b""  # what was heard before anybody listened along
    player.add(tone(40), 1_000)
    player.add(tone(40), 1_000)
    parts = [player.fresh(now_ms) for now_ms in (1_055, 1_055, 1_090, 1_100, 1_131, 1_200)]
    assert [len(part) for part in parts] == [40, 0, 280, 80, 240, 0]
    player.add(tone(40), 1_300)
    parts += [player.fresh(1_352)]
    player.clear(1_353)
    parts += [player.fresh(1_353), player.fresh(1_400)]
    assert b"".join(parts) == tone(40) + tone(40) + tone(40)[:24]


def test_without_keeping_audio_it_is_counted_all_the_same() -> None:
    player = Player(delay_ms=0, keeps_audio=False)
    player.add(tone(100), 0)
    assert player.heard_ms(50) == 50
    assert player.heard_ms(500) == 100
    assert player.heard(500) == []


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "mark", "clear", "wait"]), st.integers(min_value=0, max_value=400)), max_size=30
)


@given(STEPS, st.integers(min_value=0, max_value=300))
def test_every_mark_comes_back_once_and_nothing_is_heard_that_was_not_sent(
    steps: list[tuple[str, int]], delay_ms: int
) -> None:
    player, now_ms = Player(delay_ms=delay_ms), 0
    placed: list[str] = []
    back: list[str] = []
    sent = 0
    for at, (what, size) in enumerate(steps):
        match what:
            case "add":
                player.add(tone(size), now_ms)
                sent += size
            case "mark":
                player.mark(str(at), now_ms)
                placed.append(str(at))
            case "clear":
                back += player.clear(now_ms)
            case _:
                now_ms += size
                back += player.due(now_ms)
        assert player.heard_ms(now_ms) == len(heard(player, now_ms)) / 8 <= min(sent, now_ms)
    back += player.due(1_000_000)
    assert back == placed
