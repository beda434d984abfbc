"""How much of what we gave to Twilio the caller has heard: by Twilio's words, by its signs, by the clock."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.voice.relay.speech import Heard, Speech, tokens_heard
from gateway.voice.relay.text import spoken_ms

GREETING = "Guten Tag, hier ist die digitale Assistentin vom Salon Lindenhof."
OFFER = "Am Dienstag ist um neun, um elf und um vierzehn Uhr etwas frei."


def words(text: str) -> int:
    return len(text.split())


def speech(*texts: str, at_ms: int = 0, billable: bool = True) -> Speech:
    speaking = Speech(words)
    for text in texts:
        speaking.say(text, at_ms, billable=billable)
    return speaking


def is_playing(speaking: Speech) -> bool:
    return speaking.is_playing


def texts(over: list[Heard]) -> list[str]:
    return [one.heard for one in over]


def test_what_was_given_waits_until_it_has_been_heard() -> None:
    speaking = speech(GREETING)
    assert is_playing(speaking)
    assert speaking.waiting_tokens == words(GREETING)
    assert speaking.due(spoken_ms(GREETING) - 1) == []
    due_ms = speaking.next_due_ms()
    assert due_ms is not None
    over = speaking.due(due_ms)
    assert texts(over) == [GREETING]
    assert not over[0].interrupted
    assert not is_playing(speaking)
    assert speaking.waiting_tokens == 0
    assert speaking.next_due_ms() is None


def test_an_interrupt_says_in_words_what_was_heard() -> None:
    speaking = speech(GREETING)
    over = speaking.interrupt("Guten Tag, hier ist die", 1_900, 2_000)
    assert texts(over) == ["Guten Tag, hier ist die"]
    assert over[0].interrupted
    assert tokens_heard(over, words) == 5
    assert not is_playing(speaking)


def test_twilio_gives_words_back_with_other_spaces_and_signs() -> None:
    over = speech(GREETING).interrupt("guten tag — hier  ist", None, 1_000)
    assert texts(over) == ["Guten Tag, hier ist"]


def test_an_interrupt_after_several_utterances_cuts_the_one_that_played() -> None:
    over = speech(GREETING, OFFER).interrupt(f"{GREETING} Am Dienstag", 4_000, 4_000)
    assert texts(over) == [GREETING, "Am Dienstag"]
    assert [one.interrupted for one in over] == [False, True]


def test_words_of_an_utterance_that_is_over_do_not_count_again() -> None:
    speaking = speech(GREETING, OFFER)
    assert texts(speaking.note_played(GREETING, 5_000)) == [GREETING]
    over = speaking.interrupt(f"{GREETING} Am Dienstag ist um", None, 6_000)
    assert texts(over) == ["Am Dienstag ist um"]


def test_an_interrupt_before_anything_was_heard_counts_nothing() -> None:
    over = speech(GREETING, OFFER).interrupt("", 0, 900)
    assert texts(over) == ["", ""]
    assert tokens_heard(over, words) == 0


def test_an_interrupt_whose_words_are_not_ours_is_placed_by_its_time() -> None:
    speaking = speech(OFFER)
    over = speaking.interrupt("neunzehnhundert", spoken_ms(OFFER) // 2, 9_000)
    assert 0 < len(over[0].heard) < len(OFFER)
    assert over[0].interrupted


def test_without_words_and_time_an_interrupt_is_placed_by_the_clock() -> None:
    late = speech(OFFER).interrupt("neunzehnhundert", None, spoken_ms(OFFER) * 3 // 4)
    early = speech(OFFER).interrupt("neunzehnhundert", None, spoken_ms(OFFER) // 4)
    assert len(early[0].heard) < len(late[0].heard) < len(OFFER)


def test_what_was_played_is_known_word_by_word() -> None:
    speaking = speech(GREETING)
    assert speaking.note_played("Guten Tag, hier", 500) == []
    assert speaking.note_played("ist die digitale Assistentin", 1_500) == []
    assert texts(speaking.stop(1_600)) == ["Guten Tag, hier ist die digitale Assistentin"]


def test_what_was_played_may_be_told_from_the_beginning_each_time() -> None:
    speaking = speech(GREETING)
    speaking.note_played("Guten Tag, hier", 500)
    assert texts(speaking.note_played(GREETING, 1_500)) == [GREETING]


def test_a_sentence_that_is_said_twice_is_heard_twice() -> None:
    speaking = speech(f"{OFFER} {OFFER}")
    assert speaking.note_played(OFFER, 4_000) == []
    assert texts(speaking.note_played(OFFER, 8_000)) == [f"{OFFER} {OFFER}"]


def test_an_interrupt_in_what_is_said_twice_goes_by_all_that_was_heard() -> None:
    speaking = speech(f"{OFFER} {OFFER}")
    speaking.note_played(OFFER, 4_000)
    assert texts(speaking.interrupt(f"{OFFER} Am Dienstag", None, 5_000)) == [f"{OFFER} Am Dienstag"]


def test_an_utterance_is_over_when_twilio_falls_silent() -> None:
    speaking = speech(GREETING)
    speaking.note_speaking(True, 600)
    assert texts(speaking.note_speaking(False, 600 + spoken_ms(GREETING))) == [GREETING]


def test_a_pause_between_two_sentences_is_not_the_end() -> None:
    speaking = speech(GREETING)
    speaking.note_speaking(True, 0)
    assert speaking.note_speaking(False, spoken_ms(GREETING) // 4) == []
    assert is_playing(speaking)


def test_a_twilio_that_tells_nothing_does_not_keep_a_call_speaking_for_ever() -> None:
    speaking = speech(GREETING)
    speaking.note_speaking(True, 0)
    due_ms = speaking.next_due_ms()
    assert due_ms is not None
    assert texts(speaking.due(due_ms)) == [GREETING]


def test_when_the_caller_hangs_up_the_clock_says_what_was_heard() -> None:
    over = speech(OFFER).stop(spoken_ms(OFFER) // 2)
    assert 0 < len(over[0].heard) < len(OFFER)


def test_notices_are_spoken_and_not_counted() -> None:
    speaking = speech(GREETING, billable=False)
    assert speaking.waiting_tokens == 0
    due_ms = speaking.next_due_ms()
    assert due_ms is not None
    assert tokens_heard(speaking.due(due_ms), words) == 0


def test_an_utterance_of_signs_alone_ends_too() -> None:
    speaking = speech("…", "")
    assert texts(speaking.interrupt("", None, 10)) == ["…", ""]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["say", "played", "on", "off", "interrupt", "due"]), st.text(max_size=12), st.integers(0, 900)
    )
)


@given(STEPS)
def test_whatever_twilio_tells_each_utterance_ends_once_and_within_itself(
    steps: list[tuple[str, str, int]],
) -> None:
    speaking, now_ms, said, over = Speech(len), 0, [], []
    for what, text, passed_ms in steps:
        now_ms += passed_ms
        match what:
            case "say":
                said.append(text)
                speaking.say(text, now_ms, billable=True)
            case "played":
                over += speaking.note_played(text, now_ms)
            case "on" | "off":
                over += speaking.note_speaking(what == "on", now_ms)
            case "interrupt":
                over += speaking.interrupt(text, None, now_ms)
            case _:
                over += speaking.due(now_ms)
        assert speaking.waiting_tokens <= sum(map(len, said))
    over += speaking.stop(now_ms)
    assert [one.text for one in over] == said
    assert all(one.text.startswith(one.heard) for one in over)
