"""Ten thousand interruptions of a simulated call: what the caller is said to have heard is what he heard."""

from random import Random

from tests.gateway.voice.barge_in import SimulatedCall, later_items_are_unheard
from tests.gateway.voice.far_end import FarEnd

CALLS = 700  # with marks that come back when they should
UNRELIABLE_CALLS = 300
INTERRUPTIONS = 10  # of each


def test_seven_thousand_interruptions_truncate_at_what_the_caller_has_really_heard() -> None:
    off_by, interrupted_at_all = [], 0
    for seed in range(CALLS):
        random = Random(seed)  # noqa: S311 - no secret
        call = SimulatedCall(random, FarEnd(random, playout_ms=150))
        for _ in range(INTERRUPTIONS):
            interrupted = call.interrupt(call.answer())
            interrupted_at_all += bool(interrupted.told)
            for item, really_heard in zip(interrupted.told, interrupted.really_heard, strict=True):
                assert item.heard_ms <= item.sent_ms <= item.received_ms == call.received[item.key] // 8
                off_by.append(abs(item.heard_ms - really_heard))
            assert later_items_are_unheard(interrupted.told)
            assert all(heard == received for heard, received in interrupted.left_out)
        assert abs(call.billable_ms - call.really_heard_ms) <= 40 * INTERRUPTIONS
        assert call.playout.unacknowledged == 0
    assert interrupted_at_all > 5_000
    assert max(off_by) <= 40
    assert sum(off_by) / len(off_by) < 20


def test_three_thousand_more_are_safe_where_marks_come_early_late_or_never() -> None:
    stale = 0
    for seed in range(UNRELIABLE_CALLS):
        random = Random(seed)  # noqa: S311 - no secret
        share = random.choice([0.05, 0.3, 0.9])
        far = FarEnd(random, playout_ms=random.choice([20, 150, 600]), lost=share / 3, early=share / 3, late=share / 3)
        call = SimulatedCall(random, far)
        for _ in range(INTERRUPTIONS):
            interrupted = call.interrupt(call.answer())
            for item in interrupted.told:
                assert item.heard_ms <= item.sent_ms <= item.received_ms == call.received[item.key] // 8
            assert later_items_are_unheard(interrupted.told)
        stale += call.playout.stale_marks
    assert stale > UNRELIABLE_CALLS
