from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.voice.media.hearing import ASSUMED_DELAY_MS
from gateway.voice.media.playout import ITEMS_KEPT, WAITING_MS_MAX, HeardItem, ItemKey, PlaceMark, Play, Playout
from tests.gateway.voice.far_end import FarEnd

A, B, C = ItemKey("a"), ItemKey("b"), ItemKey("c")


def audio(ms: int, byte: int = 1) -> bytes:
    return bytes([byte]) * 8 * ms


def sent_of(effects: list[Play | PlaceMark]) -> tuple[int, list[str]]:
    """How many milliseconds are sent, and the names of the marks."""
    ms = sum(len(effect.audio) // 8 for effect in effects if isinstance(effect, Play))
    return ms, [effect.name for effect in effects if isinstance(effect, PlaceMark)]


def play_all(playout: Playout, now: int = 0) -> list[tuple[int, Play | PlaceMark]]:
    """Do what is due, at the times that the machine asks for."""
    done = [(now, effect) for effect in playout.due(now)]
    while (at := playout.next_due_ms(now)) is not None:
        assert at > now
        now = at
        effects = playout.due(now)
        assert effects
        done += [(now, effect) for effect in effects]
    return done


def echo_all(playout: Playout, effects: list[Play | PlaceMark], now: int) -> None:
    for name in sent_of(effects)[1]:
        assert playout.acknowledge(name, now)


def test_the_first_audio_leaves_at_once_as_a_burst_with_an_early_mark() -> None:
    playout = Playout()
    playout.add(A, audio(1_000), 7)
    assert playout.next_due_ms(7) == 7
    assert sent_of(playout.due(7)) == (200, ["g0.1.20", "g0.1.200"])
    assert playout.due(8) == []


def test_speech_is_sent_at_most_the_lead_ahead_and_soon_nearly_that() -> None:
    playout, sent = Playout(), 0
    playout.add(A, audio(10_000), 0)
    playout.finish(A, 0)
    for at, effect in play_all(playout):
        if isinstance(effect, Play):
            sent += len(effect.audio) // 8
            assert sent - at <= 400
            assert sent - at >= 300 or at < 200 or sent == 10_000
    assert sent == 10_000
    assert playout.underruns == 0


def test_a_timer_that_is_coarse_catches_up_without_drift() -> None:
    playout, sent = Playout(), 0
    playout.add(A, audio(10_000), 0)
    for at in range(0, 9_000, 61):
        sent += sent_of(playout.due(at))[0]
        assert 180 <= sent - at <= 400
    assert playout.underruns == 0


@pytest.mark.parametrize(("stall_ms", "underruns"), [(180, 0), (181, 1), (500, 1)])
def test_a_stall_of_ours_is_an_underrun_once_the_lead_is_nearly_used_up(stall_ms: int, underruns: int) -> None:
    playout = Playout()
    playout.add(A, audio(10_000), 0)
    for at in range(0, 1_001, 50):
        playout.due(at)
    assert playout.next_due_ms(1_000) == 1_100
    playout.due(1_100 + stall_ms)
    assert playout.underruns == underruns


def test_a_mark_follows_every_200_ms_and_the_end_once() -> None:
    playout = Playout()
    playout.add(A, audio(600), 0)
    playout.finish(A, 0)
    playout.add(B, audio(210), 0)
    playout.finish(B, 0)
    marks = [effect.name for _, effect in play_all(playout) if isinstance(effect, PlaceMark)]
    assert marks == ["g0.1.20", "g0.1.200", "g0.1.400", "g0.1.600", "g0.2.200", "g0.2.220"]


def test_a_lead_and_marks_of_other_sizes_are_kept() -> None:
    playout = Playout(lead_ms=100, burst_ms=40, mark_every_ms=60)
    playout.add(A, audio(300), 0)
    assert sent_of(playout.due(0)) == (40, ["g0.1.20"])
    sent = 40 + sum(len(effect.audio) // 8 for _, effect in play_all(playout) if isinstance(effect, Play))
    assert sent == 300


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5_000)), max_size=20), st.randoms(use_true_random=False))
def test_all_audio_is_sent_in_order_in_whole_frames_and_each_item_is_padded_only_at_its_end(
    pieces: list[tuple[int, int]], random: Random
) -> None:
    playout, given_audio, played, now = Playout(), [b"", b"", b""], b"", 0
    for item, size in sorted(pieces, key=lambda piece: piece[0]):
        piece = bytes([item]) * size
        given_audio[item] += piece
        playout.add(ItemKey(str(item)), piece, now)
        played += b"".join(effect.audio for effect in playout.due(now) if isinstance(effect, Play))
        now += random.randint(0, 400)
    for item in range(3):
        playout.finish(ItemKey(str(item)), now)
    for _, effect in play_all(playout, now):
        if isinstance(effect, Play):
            assert effect.audio
            assert len(effect.audio) % 160 == 0
            played += effect.audio
    assert played == b"".join(part + b"\xff" * (-len(part) % 160) for part in given_audio)


def test_the_remainder_of_a_delta_waits_for_the_next_one() -> None:
    playout = Playout()
    playout.add(A, b"\1" * 161, 0)
    assert playout.due(0)[0] == Play(b"\1" * 160)
    assert playout.next_due_ms(0) is None
    playout.add(A, b"\2" * 159, 10)
    assert playout.next_due_ms(10) == 10
    assert playout.due(10) == [Play(b"\1" + b"\2" * 159)]


def test_silence_fills_the_last_frame_and_is_nothing_to_hear() -> None:
    playout = Playout()
    playout.add(A, b"\1" * 200, 0)
    playout.finish(A, 0)
    effects = playout.due(0)
    assert b"".join(effect.audio for effect in effects if isinstance(effect, Play)) == b"\1" * 200 + b"\xff" * 120
    echo_all(playout, effects, 190)
    assert playout.heard_of("a", 190) == HeardItem(A, 25, 25, 25, billable=True)
    assert playout.billable_heard_ms(190) == 25


def test_the_next_item_completes_the_one_before() -> None:
    playout = Playout()
    playout.add(A, b"\1" * 100, 0)
    playout.add(B, audio(20), 0)
    assert sent_of(playout.due(0)) == (40, ["g0.1.20"])
    playout.add(A, audio(20), 0)
    assert playout.late_deltas == 1


def test_what_comes_after_the_end_is_dropped_and_counted() -> None:
    playout = Playout()
    playout.add(A, audio(20), 0)
    playout.finish(A, 0)
    playout.finish(A, 0)
    playout.add(A, audio(20), 0)
    assert sent_of(playout.due(0)) == (20, ["g0.1.20"])
    assert playout.late_deltas == 1


def test_no_more_than_five_minutes_wait() -> None:
    playout = Playout()
    playout.add(A, audio(WAITING_MS_MAX - 20), 0)
    playout.add(A, audio(20), 0)
    assert playout.late_deltas == 0
    playout.add(A, audio(20), 0)
    assert playout.late_deltas == 1
    assert playout.interrupt(0)[0].received_ms == WAITING_MS_MAX


def test_the_end_of_an_unknown_item_is_nothing() -> None:
    playout = Playout()
    playout.finish(A, 0)
    assert playout.due(0) == []
    assert playout.interrupt(0) == ()


def test_what_was_heard_goes_on_from_the_last_mark_by_the_clock() -> None:
    playout = Playout()
    playout.add(A, audio(2_000), 0)
    first = playout.due(0)
    assert playout.acknowledge(sent_of(first)[1][0], 190)
    assert playout.mark_rtt_ms == 170
    assert [playout.billable_heard_ms(at) for at in (190, 220, 290)] == [20, 50, 120]
    assert playout.acknowledge(sent_of(first)[1][1], 390)  # 20 ms later than the first one had it
    assert playout.billable_heard_ms(390) == 200


def test_nothing_is_heard_before_the_first_mark_says_so() -> None:
    playout = Playout()
    playout.add(A, audio(2_000), 0)
    playout.due(0)
    assert playout.billable_heard_ms(ASSUMED_DELAY_MS) == 0
    assert playout.billable_heard_ms(1_000) == 20


def test_no_more_is_heard_than_was_sent_however_late_it_is() -> None:
    playout = Playout()
    playout.add(A, audio(2_000), 0)
    echo_all(playout, playout.due(0)[:2], 170)
    assert playout.billable_heard_ms(60_000) == 200


def test_an_echo_that_comes_at_once_does_not_turn_the_clock_back() -> None:
    playout = Playout()
    playout.add(A, audio(2_000), 0)
    echo_all(playout, playout.due(0), 0)
    assert playout.mark_rtt_ms == 0
    assert playout.billable_heard_ms(0) == 200


def test_an_echo_about_a_stretch_of_long_ago_says_nothing_about_the_delay() -> None:
    playout, marks = Playout(), []
    for at in range(0, 1_000, 50):
        playout.add(A, audio(20), at)
        marks += sent_of(playout.due(at))[1]
    assert len(marks) == 20
    assert playout.acknowledge(marks[0], 1_000)
    assert playout.mark_rtt_ms is None
    assert playout.billable_heard_ms(1_000) >= 20
    assert playout.acknowledge(marks[-1], 1_090)
    assert playout.mark_rtt_ms == 1_090 - 950 - 20


def test_without_marks_the_clock_takes_over_two_seconds_after_they_were_due() -> None:
    playout = Playout()
    playout.add(A, audio(10_000), 0)
    play_all(playout)
    due = 20 + ASSUMED_DELAY_MS + 2_000
    assert playout.billable_heard_ms(due - 1) == 20
    assert playout.billable_heard_ms(due) == due - ASSUMED_DELAY_MS
    assert playout.unacknowledged == 1
    assert playout.is_playing(10_000)
    assert not playout.is_playing(10_000 + ASSUMED_DELAY_MS)
    playout.add(B, audio(1_000), 20_000)
    playout.due(20_000)
    assert playout.billable_heard_ms(20_250) == 10_100  # and does not wait again


def test_a_mark_that_comes_back_after_all_is_trusted_again() -> None:
    playout = Playout()
    playout.add(A, audio(10_000), 0)
    marks = [effect.name for _, effect in play_all(playout) if isinstance(effect, PlaceMark)]
    assert playout.billable_heard_ms(5_000) == 5_000 - ASSUMED_DELAY_MS
    assert playout.acknowledge(marks[26], 5_600)  # the one at 5,200 ms
    assert playout.heard_of("a", 5_600) == HeardItem(A, 5_200, 10_000, 10_000, billable=True)
    assert playout.acknowledge(marks[49], 10_200)
    assert playout.is_playing(10_400)  # and the last one is waited for
    assert not playout.is_playing(12_400)


def test_speech_goes_on_until_its_last_mark_is_back() -> None:
    playout = Playout()
    playout.add(A, audio(100), 0)
    playout.finish(A, 0)
    first, last = sent_of(playout.due(0))[1]
    assert playout.acknowledge(first, 170)
    assert playout.playing_until_ms(170) == 250
    assert playout.is_playing(260)
    assert playout.playing_until_ms(260) > 260
    assert playout.acknowledge(last, 270)
    assert not playout.is_playing(270)
    assert playout.playing_until_ms(270) == 270
    assert playout.interrupt(270) == ()


def test_a_last_mark_that_is_lost_is_waited_for_two_seconds() -> None:
    playout = Playout()
    playout.add(A, audio(100), 0)
    playout.finish(A, 0)
    assert playout.acknowledge(sent_of(playout.due(0))[1][0], 170)
    assert playout.is_playing(100 + 150 + 2_000 - 1)
    assert not playout.is_playing(100 + 150 + 2_000)
    assert playout.unacknowledged == 1


def test_all_that_waits_counts_as_playing() -> None:
    playout = Playout()
    playout.add(A, audio(3_000), 0)
    assert playout.is_playing(0)
    assert playout.playing_until_ms(0) >= 3_000
    playout.due(0)
    assert playout.playing_until_ms(0) == 3_000 + ASSUMED_DELAY_MS


def test_an_interruption_tells_what_was_heard_and_later_items_as_unheard() -> None:
    playout = Playout()
    playout.add(A, audio(300), 0)
    playout.finish(A, 0)
    playout.add(B, audio(5_000, 2), 0)
    playout.finish(B, 0)
    playout.add(C, audio(900, 3), 0)
    effects = playout.due(0)
    playout.acknowledge(sent_of(effects)[1][0], 170)
    assert playout.interrupt(270) == (
        HeardItem(A, 120, 200, 300, billable=True),
        HeardItem(B, 0, 0, 5_000, billable=True),
        HeardItem(C, 0, 0, 900, billable=True),
    )
    assert playout.next_due_ms(270) is None
    assert not playout.is_playing(270)
    assert playout.interrupt(280) == ()
    assert playout.billable_heard_ms(9_000) == 120
    assert playout.heard_of("a", 9_000) == HeardItem(A, 120, 200, 300, billable=True)
    assert playout.heard_of("b", 9_000) == HeardItem(B, 0, 0, 5_000, billable=True)


def test_items_that_were_heard_in_full_are_not_told() -> None:
    playout = Playout()
    playout.add(A, audio(100), 0)
    playout.finish(A, 0)
    playout.add(B, audio(900, 2), 0)
    echo_all(playout, playout.due(0), 340)
    assert [item.key for item in playout.interrupt(350)] == [B]
    assert playout.heard_of("a", 350) == HeardItem(A, 100, 100, 100, billable=True)


def test_an_item_that_goes_on_is_interrupted_even_when_all_of_it_so_far_was_heard() -> None:
    playout = Playout()
    playout.add(A, audio(100), 0)
    echo_all(playout, playout.due(0), 250)
    assert not playout.is_playing(400)
    assert playout.interrupt(400) == (HeardItem(A, 100, 100, 100, billable=True),)
    playout.add(A, audio(100), 410)
    assert playout.due(410) == []


def test_late_deltas_of_interrupted_items_are_mute_and_marks_from_before_are_stale() -> None:
    playout = Playout()
    playout.add(A, audio(1_000), 0)
    marks = sent_of(playout.due(0))[1]
    playout.interrupt(100)
    playout.add(A, audio(100), 110)
    playout.finish(A, 110)
    assert not playout.acknowledge(marks[0], 120)
    assert (playout.due(120), playout.late_deltas, playout.stale_marks) == ([], 1, 1)
    playout.add(B, audio(1_000), 130)
    assert sent_of(playout.due(130)) == (200, ["g1.2.20", "g1.2.200"])
    assert playout.billable_heard_ms(130) == 0


def test_a_muted_item_is_not_played_whether_it_came_before_or_after() -> None:
    playout = Playout()
    playout.add(A, audio(1_000), 0)
    first = playout.due(0)
    playout.mute(A)
    playout.add(A, audio(1_000), 10)
    playout.mute(B)
    playout.add(B, audio(1_000), 10)
    assert playout.due(100) == []  # the place where it was cut is marked already
    playout.add(C, audio(20), 100)
    assert sent_of(playout.due(100)) == (20, [])
    assert playout.late_deltas == 2
    echo_all(playout, first, 350)
    assert playout.heard_of("a", 400) == HeardItem(A, 200, 200, 1_000, billable=True)
    assert playout.heard_of("b", 400) == HeardItem(B, 0, 0, 0, billable=False)


def test_notices_are_played_and_not_billed() -> None:
    playout = Playout()
    playout.add(A, audio(100), 0, billable=False)
    playout.finish(A, 0)
    playout.add(B, audio(100), 0)
    playout.finish(B, 0)
    echo_all(playout, playout.due(0), 350)
    assert playout.billable_heard_ms(350) == 100
    assert playout.heard_of("a", 350) == HeardItem(A, 100, 100, 100, billable=False)


def test_a_notice_is_not_billed_while_it_is_played_nor_when_it_is_cut_off() -> None:
    playout = Playout()
    playout.add(A, audio(1_000), 0, billable=False)
    echo_all(playout, playout.due(0), 350)
    assert playout.billable_heard_ms(350) == 0
    assert playout.interrupt(350) == (HeardItem(A, 200, 200, 1_000, billable=False),)
    assert playout.billable_heard_ms(350) == 0


def test_muted_items_of_long_ago_are_forgotten() -> None:
    playout = Playout()
    playout.add(A, audio(1_000), 0)
    for number in range(ITEMS_KEPT):
        playout.mute(ItemKey(str(number)))
    assert playout.heard_of("0", 0) is None
    assert playout.heard_of("1", 0) is not None
    assert playout.heard_of("a", 0) == HeardItem(A, 0, 0, 1_000, billable=True)


def test_the_parts_of_an_item_are_told_together() -> None:
    playout = Playout()
    playout.add(ItemKey("a", 0), audio(100), 0)
    playout.finish(ItemKey("a", 0), 0)
    playout.add(ItemKey("a", 1), audio(50), 0)
    assert playout.heard_of("a", 0) == HeardItem(ItemKey("a", 0), 0, 0, 150, billable=True)
    assert playout.heard_of("b", 0) is None


def test_items_of_long_ago_are_forgotten_and_those_that_wait_are_not() -> None:
    playout = Playout()
    for number in range(ITEMS_KEPT + 1):
        key = ItemKey(str(number))
        playout.add(key, audio(20), number * 100)
        playout.finish(key, number * 100)
        echo_all(playout, playout.due(number * 100), number * 100 + 50)
    assert playout.heard_of("0", 9_000) is None
    assert playout.heard_of("1", 9_000) is not None
    waiting = [ItemKey(f"w{number}") for number in range(2 * ITEMS_KEPT)]
    for key in waiting:
        playout.add(key, audio(20), 10_000)
    assert all(playout.heard_of(key.item_id, 10_000) for key in waiting)
    assert len(playout.interrupt(10_000)) == 2 * ITEMS_KEPT


def test_an_engine_that_is_too_slow_is_counted_once_for_each_gap() -> None:
    playout = Playout()
    playout.add(A, audio(200), 0)
    playout.due(0)
    playout.add(A, audio(20), 500)
    assert sent_of(playout.due(500)) == (20, ["g0.1.220"])
    playout.add(A, audio(20), 600)
    playout.due(600)
    assert playout.underruns == 1
    playout.add(A, audio(200), 610)
    playout.due(610)
    playout.add(A, audio(20), 900)
    playout.due(900)
    assert playout.underruns == 2


def test_a_pause_between_two_items_is_no_underrun() -> None:
    playout = Playout()
    for key, at in ((A, 0), (B, 5_000)):
        playout.add(key, audio(300), at)
        playout.finish(key, at)
        play_all(playout, at)
    assert playout.underruns == 0


@pytest.mark.parametrize("playout_ms", [0, 150, 400])
def test_a_whole_answer_with_pauses_is_heard_as_it_was_played(playout_ms: int) -> None:
    random = Random(1)  # noqa: S311 - no secret
    playout, far, now = Playout(), FarEnd(random, playout_ms=playout_ms, jitter_ms=0), 0
    for key, begins in ((A, 0), (B, 1_900), (C, 6_000)):
        while now < begins:
            now += 10
            far.tell(playout, now)
            far.take(playout.due(now), now)
            really = sum(far.heard_ms(byte, now) for byte in (1, 2, 3))
            assert really - 40 <= playout.billable_heard_ms(now) <= really + 20
        playout.add(key, audio(1_500, "abc".index(key.item_id) + 1), now)
        playout.finish(key, now)
