"""A forwarded leg's minutes: held before they start, charged when they do, and none before somebody picks up."""

from datetime import UTC, datetime, timedelta

from gateway.voice.legs.minutes import LegMinutes

START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
AHEAD = timedelta(seconds=8)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_nothing_counts_while_nobody_has_picked_up() -> None:
    minutes = LegMinutes(held=1)
    assert minutes.to_begin(after(600)) is None
    assert minutes.to_hold(after(600), AHEAD) is None
    assert minutes.next_at(AHEAD) is None


def test_the_first_minute_begins_when_somebody_picks_up() -> None:
    minutes = LegMinutes(started_at=START, held=1)
    assert minutes.to_begin(after(-0.001)) is None
    assert minutes.to_begin(START) == 1


def test_each_next_minute_is_held_ahead_and_begins_on_time() -> None:
    minutes = LegMinutes(started_at=START, held=1, begun=1)
    assert minutes.next_at(AHEAD) == after(52)
    assert minutes.to_hold(after(51.999), AHEAD) is None
    assert minutes.to_hold(after(52), AHEAD) == 2
    minutes.held = 2
    assert minutes.to_hold(after(53), AHEAD) is None
    assert minutes.next_at(AHEAD) == after(60)
    assert minutes.to_begin(after(59.999)) is None
    assert minutes.to_begin(after(60)) == 2


def test_minutes_that_were_missed_begin_one_after_the_other() -> None:
    minutes = LegMinutes(started_at=START, held=1, begun=1)
    begun = []
    while (minute := minutes.to_begin(after(200))) is not None:
        begun.append(minute)
        minutes.begun = minute
    assert begun == [2, 3, 4]
