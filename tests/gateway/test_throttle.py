"""Sends are spaced out as the provider wants them, whoever asks first."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.throttle import PER_NUMBER, PER_PAIR, Buckets, Rate


def test_a_customer_gets_ten_messages_at_once_and_then_one_in_six_seconds() -> None:
    buckets = Buckets(PER_PAIR)
    waits = [round(buckets.take("pair", 100.0), 6) for _ in range(12)]
    assert waits == [0.0] * 10 + [6.0, 12.0]


def test_a_number_sends_eighty_messages_in_a_second_in_the_long_run() -> None:
    buckets = Buckets(PER_NUMBER)
    last = max(buckets.take("number", 5.0) for _ in range(810))
    assert round(last, 6) == 10.0


def test_a_bucket_refills_while_nobody_asks() -> None:
    buckets = Buckets(Rate(per_second=1, burst=2))
    assert [buckets.take("k", 0.0), buckets.take("k", 0.0), buckets.take("k", 0.0)] == [0.0, 0.0, 1.0]
    assert [buckets.take("k", 100.0), buckets.take("k", 100.0), buckets.take("k", 100.0)] == [0.0, 0.0, 1.0]


def test_keys_do_not_wait_for_each_other() -> None:
    buckets = Buckets(Rate(per_second=1, burst=1))
    assert buckets.take("one", 0.0) == buckets.take("another", 0.0) == 0.0


def test_memory_is_bounded_and_the_busiest_key_is_remembered() -> None:
    buckets = Buckets(Rate(per_second=1, burst=1), keys_max=3)
    for name in "abcdefgh":
        buckets.take("busy", 0.0)
        buckets.take(name, 0.0)
    assert len(buckets) == 3
    assert buckets.take("busy", 0.0) == 8.0


@given(st.lists(st.floats(min_value=0, max_value=3), min_size=1, max_size=60), st.integers(1, 5))
def test_never_more_than_the_rate_and_the_burst_allow(pauses: list[float], burst: int) -> None:
    buckets = Buckets(Rate(per_second=2, burst=burst))
    now, sent = 0.0, []
    for pause in pauses:
        now += pause
        sent.append(now + buckets.take("k", now))
    for first, start in enumerate(sent):
        for last in range(first, len(sent)):
            assert last - first + 1 <= burst + (sent[last] - start) * 2 + 1e-6
