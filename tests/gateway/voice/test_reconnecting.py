from gateway.voice.talk.reconnecting import Reconnecting


def test_it_is_tried_three_times_a_little_later_each_time() -> None:
    sessions = Reconnecting()
    assert [sessions.next_try_after_ms(0, fatal=False) for _ in range(4)] == [250, 500, 1_000, None]


def test_a_refusal_for_good_is_not_tried_again() -> None:
    assert Reconnecting().next_try_after_ms(0, fatal=True) is None


def test_only_a_session_that_lasted_is_counted_anew() -> None:
    sessions = Reconnecting()
    sessions.ready(0, None)
    assert sessions.next_try_after_ms(9_000, fatal=False) == 250
    sessions.ready(9_500, None)
    assert sessions.next_try_after_ms(10_000, fatal=False) == 500
    sessions.ready(11_000, None)
    assert sessions.next_try_after_ms(30_000, fatal=False) == 250
    assert sessions.count == 3


def test_a_session_is_replaced_five_minutes_before_its_end_or_at_the_last_moment_of_a_short_one() -> None:
    sessions = Reconnecting()
    sessions.ready(0, 3_600_000)
    assert sessions.rotate_ms == 3_300_000
    sessions.replace()
    assert not sessions.is_ready
    sessions.ready(0, 120_000)
    assert sessions.rotate_ms == 110_000
