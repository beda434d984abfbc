import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.voice.call_meter import (
    BeginMinute,
    CallMeter,
    Continued,
    CutOff,
    EnlargeHold,
    HoldMinute,
    MinuteUsage,
    ResumedMeter,
    SettleMinute,
    VoiceRates,
    WrapUp,
)
from tests.gateway.voice.metered import FULL, NOTICE_MS, RATES, MeteredCall, Wallet, metered

RICH = 1_000_000_000
MINUTE = RATES.minute + FULL
NONE = MinuteUsage(1, 0, 0)


def test_a_minute_in_which_both_always_speak_costs_885_credits_of_audio() -> None:
    assert FULL == 885_000


def test_fees_are_due_when_their_minutes_begin_and_each_minute_is_settled_before_the_next() -> None:
    call = metered(RICH)
    call.run(150_000)
    call.close()
    assert call.fees_at() == [0, 60_000, 120_000]
    assert [effect for _, effect in call.log if not isinstance(effect, HoldMinute)] == [
        BeginMinute(1),
        SettleMinute(MinuteUsage(1, 600, 1_200)),
        BeginMinute(2),
        SettleMinute(MinuteUsage(2, 600, 1_200)),
        BeginMinute(3),
        SettleMinute(MinuteUsage(3, 300, 600)),
    ]


def test_the_next_minute_is_held_some_seconds_before_it_begins() -> None:
    meter = CallMeter(RATES, first_held_millicredits=FULL)
    assert meter.due(0) == [BeginMinute(1)]
    assert meter.next_due_ms(0) == 52_000
    assert meter.due(51_999) == []
    assert meter.due(52_000) == [HoldMinute(2)]


def test_a_long_notice_has_it_held_earlier_so_that_there_is_time_for_last_words() -> None:
    meter = CallMeter(RATES, first_held_millicredits=FULL, notice_ms=10_000)
    meter.due(0)
    assert meter.next_due_ms(0) == 60_000 - 10_000 - 1_500 - 5_000


def test_a_recording_of_sixty_seconds_is_six_hundred_input_tokens() -> None:
    call = metered(RICH)
    for _ in range(3_000):
        call.meter.heard_caller(20)
        call.now += 20
        call._look()
    call.run(61_000, caller=False, agent=False)
    call.close()
    assert call.meter.input_tokens == 600
    assert sum(usage.input_tokens for usage in call.settled()) == 600


def test_a_call_of_exactly_a_minute_has_one_fee_and_the_next_minute_is_let_go() -> None:
    call = metered(RICH)
    call.run(59_980)
    call.meter.heard_caller(20)
    call.meter.played(60_000)
    call.now = 60_000
    assert call.close() == [SettleMinute(MinuteUsage(1, 600, 1_200))]
    assert call.meter.minute == 1
    assert call.meter.held_ahead == 2


def test_a_call_that_ends_just_after_a_minute_has_begun_pays_for_it_even_if_nobody_looked() -> None:
    call = metered(RICH)
    call.run(59_990)
    assert call.meter.close(60_010) == [
        SettleMinute(MinuteUsage(1, 599, 1_199)),
        BeginMinute(2),
        SettleMinute(MinuteUsage(2, 0, 0)),
    ]
    assert call.meter.held_ahead is None


def test_a_call_that_ends_at_once_has_no_minute() -> None:
    meter = CallMeter(RATES, first_held_millicredits=FULL)
    assert meter.close(0) == []
    assert meter.held_ahead == 1


def test_a_closed_meter_says_nothing_more() -> None:
    meter = CallMeter(RATES, first_held_millicredits=FULL)
    meter.due(0)
    assert meter.close(500) == [SettleMinute(NONE)]
    assert meter.close(600) == []
    assert meter.due(70_000) == []
    assert meter.next_due_ms(70_000) > 70_000
    meter.heard_caller(1_000)
    meter.played(1_000)
    assert (meter.input_tokens, meter.output_tokens, meter.unsettled_millicredits) == (0, 0, 0)


def test_what_does_not_fit_a_minute_is_left_to_the_next() -> None:
    meter = CallMeter(RATES, first_held_millicredits=FULL)
    meter.due(0)
    meter.heard_caller(60_250)
    meter.played(60_120)
    meter.held(2, FULL, full=True, now_ms=52_000)
    assert meter.due(60_000)[0] == SettleMinute(MinuteUsage(1, 600, 1_200))
    assert meter.close(60_500) == [SettleMinute(MinuteUsage(2, 2, 2))]


def test_parts_of_tokens_are_not_lost_between_frames_or_minutes() -> None:
    call = metered(RICH)
    call.run(60_050)
    call.run(60_100)
    call.close()
    assert [(usage.input_tokens, usage.output_tokens) for usage in call.settled()] == [(600, 1_200), (1, 2)]


def test_heard_audio_that_is_corrected_downwards_stays_counted() -> None:
    meter = CallMeter(RATES, first_held_millicredits=FULL)
    meter.due(0)
    meter.played(1_000)
    meter.played(900)
    assert meter.output_tokens == 20


def test_a_minute_held_in_part_is_settled_for_that_part_at_most_input_first() -> None:
    meter = CallMeter(RATES, first_held_millicredits=295 * 20 + 590 * 3 + 100)
    meter.due(0)
    meter.heard_caller(1_500)
    meter.played(1_000)
    assert meter.close(1_500) == [SettleMinute(MinuteUsage(1, 15, 5))]


def test_rates_of_nothing_hold_and_charge_nothing() -> None:
    free = VoiceRates(minute=0, input_token=0, output_token=0)
    meter = CallMeter(free, first_held_millicredits=0)
    assert meter.due(0) == [BeginMinute(1)]
    meter.heard_caller(10_000)
    meter.played(10_000)
    assert meter.room_tokens() == (500, 1_000)
    assert meter.due(10_000) == []
    assert meter.close(10_000) == [SettleMinute(MinuteUsage(1, 100, 200))]


def test_a_first_minute_held_in_part_tells_the_agent_to_wrap_up_and_is_cut_off_in_time() -> None:
    call = metered(RATES.minute + 221_250)  # 15 s of worst-case audio
    call.run(30_000)
    assert call.log[:2] == [(0, BeginMinute(1)), (0, WrapUp(14_400))]
    assert call.of(CutOff) == [(14_400, CutOff(60_000))]
    assert call.of(WrapUp) == [(0, WrapUp(14_400))]


def test_silence_makes_a_part_last() -> None:
    call = metered(RATES.minute + 221_250)
    call.run(120_000, caller=True, agent=False)
    ((at, cut),) = call.of(CutOff)
    assert (at, cut) == (60_000 - NOTICE_MS - 1_500, CutOff(60_000))


def test_a_refused_minute_ends_the_call_with_time_for_the_notice() -> None:
    call = metered(MINUTE)
    call.run(60_000)
    call.close()
    assert call.of(WrapUp) == [(49_500, WrapUp(5_000))]
    assert call.of(CutOff) == [(54_500, CutOff(60_000))]
    assert call.settled() == [MinuteUsage(1, 545, 1_090)]


def test_a_next_minute_held_in_part_is_used_before_the_call_is_cut_off() -> None:
    call = metered(2 * RATES.minute + FULL + 295_000)  # 20 s of the second minute
    call.run(90_000)
    call.close()
    assert call.of(WrapUp) == [(49_500, WrapUp(60_000 - 49_500 + 19_400))]
    assert call.of(CutOff) == [(79_400, CutOff(120_000))]
    assert call.wallet.balance == 295_000 - 194 * 295 - 388 * 590


def test_after_a_shortage_it_is_asked_again_every_two_seconds() -> None:
    call = metered(MINUTE, stops=False)
    call.run(58_000)
    assert [at for at, effect in call.log if effect == HoldMinute(2)] == [49_500, 51_500, 53_500, 55_500, 57_500]
    partial = metered(RATES.minute + 700_000)
    partial.run(7_000)
    assert partial.of(EnlargeHold) == [(at, EnlargeHold(1)) for at in (2_000, 4_000, 6_000)]


def test_a_top_up_undoes_the_wrap_up() -> None:
    call = metered(MINUTE)
    call.run(52_000)
    call.wallet.balance += RICH
    call.run(130_000)
    assert call.of(Continued) == [(53_500, Continued())]
    assert call.of(CutOff) == []
    assert call.fees_at() == [0, 60_000, 120_000]
    assert len(call.of(WrapUp)) == 1


def test_a_top_up_before_the_notice_begins_undoes_the_cut_off() -> None:
    call = metered(MINUTE, stops=False)
    call.run(55_000)
    assert len(call.of(CutOff)) == 1
    call.wallet.balance += MINUTE
    call.run(61_000)
    assert call.of(Continued) == [(55_500, Continued())]
    assert call.fees_at() == [0, 60_000]
    call.run(120_000)
    assert [at for at, _ in call.of(CutOff)] == [54_500, 114_500]  # and the next shortage is one of its own
    assert [at for at, _ in call.of(WrapUp)] == [49_500, 109_500]


def test_a_top_up_enlarges_a_minute_that_is_held_in_part() -> None:
    call = metered(RATES.minute + 221_250)
    call.run(5_000)
    call.wallet.balance += RICH
    call.run(70_000)
    call.close()
    assert call.of(Continued) == [(6_000, Continued())]
    assert call.of(CutOff) == []
    assert call.settled()[0] == MinuteUsage(1, 600, 1_200)


def test_a_top_up_after_the_notice_has_begun_changes_nothing() -> None:
    call = metered(MINUTE)
    call.run(55_000)
    call.wallet.balance += RICH
    call.run(61_000)
    assert call.of(Continued) == []
    assert call.fees_at() == [0]
    assert call.settled() == [MinuteUsage(1, 545, 1_090)]


def test_a_part_that_lasts_to_the_end_of_its_minute_is_enough_when_the_next_minute_is_full() -> None:
    meter = CallMeter(RATES, first_held_millicredits=300_000)
    assert meter.due(0) == [BeginMinute(1), WrapUp(19_738)]
    meter.held(2, FULL, full=True, now_ms=39_000)
    assert meter.due(39_000) == [EnlargeHold(1)]  # 20.3 s for 21 s
    meter.refused(1, 39_000)
    assert meter.due(39_700) == [Continued()]
    assert meter.due(59_990) == []
    assert meter.due(60_000) == [SettleMinute(NONE), BeginMinute(2)]


def test_an_answer_that_does_not_come_ends_the_call_as_a_refusal_does() -> None:
    call = metered(RICH, answer_ms=100_000)
    call.run(60_500)
    assert call.of(HoldMinute) == [(49_500, HoldMinute(2))]
    assert call.of(WrapUp) == [(50_500, WrapUp(4_000))]
    assert call.of(CutOff) == [(54_500, CutOff(60_000))]


def test_a_slow_answer_is_awaited_for_a_second_before_anybody_is_alarmed() -> None:
    call = metered(RICH, answer_ms=900)
    call.run(130_000)
    assert not call.of(WrapUp)
    assert call.fees_at() == [0, 60_000, 120_000]


def test_a_meter_that_resumes_near_the_end_of_its_minute_does_not_cut_off_what_can_be_paid() -> None:
    resumed = CallMeter(RATES, first_held_millicredits=FULL)
    resumed.due(0)
    meter = CallMeter(RATES, first_held_millicredits=0, notice_ms=NOTICE_MS, resumed=resumed.snapshot().later(58_000))
    assert meter.due(0) == [HoldMinute(2)]
    meter.held(2, FULL, full=True, now_ms=30)
    assert meter.next_due_ms(30) == 30
    assert meter.due(30) == []
    assert meter.due(2_000) == [SettleMinute(NONE), BeginMinute(2)]


def test_a_minute_that_is_paid_late_begins_late_and_ends_in_time() -> None:
    meter = CallMeter(RATES, first_held_millicredits=FULL)
    meter.due(0)
    meter.due(59_900)
    assert meter.due(60_000) == [SettleMinute(NONE)]
    meter.heard_caller(500)
    meter.held(2, FULL, full=True, now_ms=60_500)
    assert meter.due(60_500) == [BeginMinute(2)]
    meter.held(3, FULL, full=True, now_ms=100_000)
    assert meter.due(120_000) == [SettleMinute(MinuteUsage(2, 5, 0)), BeginMinute(3)]


def test_a_part_that_lasts_to_the_end_of_its_minute_goes_over_into_the_next_part() -> None:
    meter = CallMeter(RATES, first_held_millicredits=300_000, notice_ms=NOTICE_MS)
    meter.due(0)
    meter.refused(1, 50_000)
    meter.held(2, 295_000, full=False, now_ms=50_000)
    meter.heard_caller(60_000)
    meter.played(3_700)  # 31 more tokens are paid, for 300 ms
    assert meter.due(59_700) == [EnlargeHold(2)]
    meter.refused(2, 59_700)
    assert meter.due(60_000) == [SettleMinute(MinuteUsage(1, 600, 74)), BeginMinute(2)]


def test_a_cut_off_in_a_part_leaves_the_next_minute_for_the_notice() -> None:
    meter = CallMeter(RATES, first_held_millicredits=300_000, notice_ms=NOTICE_MS)
    meter.due(0)
    meter.held(2, 295_000, full=False, now_ms=50_000)
    meter.played(24_800)
    assert CutOff(120_000) in meter.due(58_000)


def test_a_minute_is_settled_once_even_if_its_hold_is_enlarged_afterwards() -> None:
    meter = CallMeter(RATES, first_held_millicredits=300_000)
    meter.due(0)
    assert meter.due(60_000) == [SettleMinute(NONE), HoldMinute(2)]
    meter.held(1, FULL, full=True, now_ms=60_010)
    assert meter.due(60_010) == []
    assert meter.due(61_000) == [CutOff(60_000)]
    assert meter.close(61_010) == []


def test_answers_about_minutes_that_are_over_change_nothing() -> None:
    call = metered(RICH)
    call.run(70_000)
    before = call.meter.held_millicredits
    call.meter.held(1, 5, full=False, now_ms=70_000)
    call.meter.refused(1, 70_000)
    assert call.meter.due(70_000) == []
    assert call.meter.held_millicredits == before


def test_the_figures_tell_what_is_charged_used_and_held() -> None:
    call = metered(RICH)
    call.run(50_000)
    meter = call.meter
    assert (meter.minute, meter.input_tokens, meter.output_tokens) == (1, 500, 1_000)
    assert meter.unsettled_millicredits == 500 * 295 + 1_000 * 590
    assert meter.held_millicredits == FULL + MINUTE  # this minute's audio, and all of the next
    assert meter.charged_millicredits == 95_000
    call.run(61_000)
    assert meter.charged_millicredits == 2 * 95_000 + FULL
    assert meter.unsettled_millicredits == 10 * 295 + 20 * 590


def test_after_the_audio_has_stopped_nothing_counts_and_paid_minutes_still_begin() -> None:
    call = metered(RICH)
    call.run(55_000)
    call.meter.stop_audio(55_000)
    call.run(125_000)
    call.close()
    assert call.fees_at() == [0, 60_000]
    assert call.settled() == [MinuteUsage(1, 550, 1_100), MinuteUsage(2, 0, 0)]
    assert call.meter.room_tokens() == (0, 0)


@given(st.integers(1, 179_000), st.integers(0, 5_000), st.integers(0, 2 * MINUTE))
@settings(max_examples=30, deadline=None)
def test_a_call_that_is_moved_goes_on_with_the_same_numbers(moved_at: int, gap_ms: int, balance: int) -> None:
    unbroken, moved = metered(balance + MINUTE), metered(balance + MINUTE)
    for call in (unbroken, moved):
        call.run(moved_at, tick_ms=50)
        call.meter.due(moved_at)
    if unbroken.of(CutOff):
        return
    unbroken.run(moved_at + gap_ms, caller=False, agent=False, tick_ms=50)
    stored = json.loads(json.dumps(moved.meter.snapshot().to_json()))
    resumed = ResumedMeter.from_json(stored).later(gap_ms)
    meter = CallMeter(RATES, first_held_millicredits=0, notice_ms=NOTICE_MS, resumed=resumed)
    again = MeteredCall(meter, moved.wallet)
    for call in (unbroken, again):
        call.run(call.now + 70_000, tick_ms=50)
        call.close()
    assert again.meter.minute == unbroken.meter.minute
    if not unbroken.of(WrapUp):  # what is short is asked for at other times
        assert moved.settled() + again.settled() == unbroken.settled()
        assert again.meter.charged_millicredits == unbroken.meter.charged_millicredits
        assert again.wallet.balance == unbroken.wallet.balance


def test_a_call_that_comes_back_from_a_person_begins_the_next_minute() -> None:
    call = metered(RICH)
    call.run(70_000)
    call.close()
    snapshot = ResumedMeter.from_json(call.meter.snapshot().to_json())
    assert snapshot.later(40_000) == snapshot
    meter = CallMeter(RATES, first_held_millicredits=FULL, resumed=snapshot)
    assert meter.due(0) == [BeginMinute(3)]
    meter.played(1_000)
    assert meter.output_tokens == 1_400 + 20
    assert meter.next_due_ms(0) == 52_000
    assert meter.close(1_000) == [SettleMinute(MinuteUsage(3, 0, 20))]


def test_a_text_engine_counts_words_and_no_audio() -> None:
    meter = CallMeter(RATES, first_held_millicredits=FULL, count="text")
    meter.due(0)
    assert meter.room_tokens() == (600, 1_200)
    meter.heard_caller(1_000)
    meter.played(1_000)
    meter.read_tokens(40)
    meter.spoke_tokens(100)
    assert meter.next_due_ms(10) == 10
    assert meter.due(10) == []
    assert meter.room_tokens() == (560, 1_100)
    assert meter.close(2_000) == [SettleMinute(MinuteUsage(1, 40, 100))]
    meter.read_tokens(40)
    meter.spoke_tokens(100)
    assert (meter.input_tokens, meter.output_tokens) == (40, 100)


def test_an_audio_engine_counts_no_words() -> None:
    meter = CallMeter(RATES, first_held_millicredits=FULL)
    meter.due(0)
    meter.read_tokens(40)
    meter.spoke_tokens(100)
    assert (meter.input_tokens, meter.output_tokens) == (0, 0)


@given(st.integers(0, FULL), st.integers(0, 700), st.integers(0, 1_300))
def test_the_room_for_words_is_paid_for_whatever_was_used(held: int, read: int, spoken: int) -> None:
    meter = CallMeter(RATES, first_held_millicredits=held, count="text")
    meter.due(0)
    meter.read_tokens(read)
    meter.spoke_tokens(spoken)
    input_room, output_room = meter.room_tokens()
    assert input_room >= 0
    assert output_room >= 0
    if input_room or output_room:
        assert RATES.cost(read + input_room, spoken + output_room) <= held
        meter.read_tokens(input_room)
        meter.spoke_tokens(output_room)
        assert meter.close(100) == [
            SettleMinute(MinuteUsage(1, min(600, read + input_room), min(1_200, spoken + output_room)))
        ]


def test_a_text_engine_is_cut_off_before_a_part_is_used_up() -> None:
    meter = CallMeter(RATES, first_held_millicredits=221_250, count="text")
    meter.due(0)
    meter.spoke_tokens(350)
    assert meter.due(20_000) == [EnlargeHold(1)]
    meter.refused(1, 20_000)
    meter.spoke_tokens(10)
    assert meter.due(21_000) == [CutOff(60_000)]


MOVES = st.lists(
    st.tuples(
        st.sampled_from([10, 999, 1_999, 5_000, 30_000, 61_000]),  # time that passes
        st.booleans(),  # the caller speaks
        st.booleans(),  # the agent speaks
        st.sampled_from([0, 0, 0, 1, 95_000, 500_000, MINUTE, 10 * MINUTE]),  # a top-up
    ),
    min_size=1,
    max_size=8,
)


@given(MOVES, st.integers(MINUTE // 4, 3 * MINUTE), st.sampled_from([0, 300, 1_700, 30_000]), st.booleans())
@settings(max_examples=400, deadline=None)
def test_no_more_is_settled_than_is_held_and_a_cut_off_comes_in_time(
    moves: list[tuple[int, bool, bool, int]], balance: int, answer_ms: int, stops: bool
) -> None:
    call = metered(balance, answer_ms=answer_ms, stops=stops)
    for passes, caller, agent, top_up in moves:
        call.wallet.balance += top_up
        balance += top_up
        call.run(call.now + passes, caller=caller, agent=agent, tick_ms=100)
    call.close()
    usages, meter = call.settled(), call.meter
    assert [usage.minute for usage in usages] == list(range(1, meter.minute + 1))
    assert [effect for _, effect in call.of(BeginMinute)] == [BeginMinute(usage.minute) for usage in usages]
    assert all(usage.input_tokens <= 600 and usage.output_tokens <= 1_200 for usage in usages)
    assert sum(usage.input_tokens for usage in usages) <= meter.input_tokens
    assert sum(usage.output_tokens for usage in usages) <= meter.output_tokens
    charged = meter.charged_millicredits
    assert charged - meter.minute * RATES.minute <= call.wallet.ever_held
    let_go = sum(call.wallet.audio.values()) + RATES.minute * len(call.wallet.audio)
    assert call.wallet.balance + let_go + charged == balance
    if stops:  # whoever stops when he is told has used no more than is held
        assert sum(usage.input_tokens for usage in usages) == meter.input_tokens
        assert sum(usage.output_tokens for usage in usages) == meter.output_tokens
        for left_ms, audio_ms, is_next_held in call.cut_offs:
            assert left_ms >= NOTICE_MS + 1_500 - 100  # time for the notice, within what is paid
            assert audio_ms <= 600 or (left_ms <= NOTICE_MS + 1_500 and not is_next_held)  # and not too soon


@pytest.mark.parametrize("answer_ms", [0, 500])
def test_whoever_has_enough_is_never_warned_and_pays_for_all_that_was_used(answer_ms: int) -> None:
    call = metered(RICH, answer_ms=answer_ms)
    call.run(600_000, tick_ms=50)
    call.close()
    assert not any(isinstance(effect, WrapUp | CutOff | Continued | EnlargeHold) for _, effect in call.log)
    assert call.settled() == [*(MinuteUsage(minute, 600, 1_200) for minute in range(1, 11)), MinuteUsage(11, 0, 0)]
    assert RICH - call.wallet.balance == 10 * MINUTE + RATES.minute


def test_a_wallet_that_is_shared_by_two_calls_pays_both_until_it_is_empty() -> None:
    first = metered(3 * MINUTE)
    second = MeteredCall(CallMeter(RATES, first_held_millicredits=FULL, notice_ms=NOTICE_MS), Wallet(0))
    first.wallet.balance -= MINUTE
    second.wallet.audio[1] = FULL
    for until in range(100, 200_000, 100):
        first.run(until)
        second.wallet.balance = first.wallet.balance
        second.run(until)
        first.wallet.balance = second.wallet.balance
    assert first.wallet.balance >= 0
    assert sum(len(call.of(CutOff)) for call in (first, second)) == 2
