import pytest

from gateway.voice.call_meter import Continued, CutOff, WrapUp
from gateway.voice.engines.base import PastItem, ResponseEnded, SpeechStarted, SpeechStopped, SpokenText
from gateway.voice.media_stream import Digit
from gateway.voice.talk.signals import (
    AddWords,
    CallerGone,
    CancelAnswer,
    Clear,
    EndAsked,
    EngineGone,
    EngineReady,
    Forward,
    GiveResult,
    HangUp,
    Move,
    MoveAsked,
    NoteAgent,
    NoteCaller,
    NotForwarded,
    NotMoved,
    Reconnect,
    RecordCall,
    Respond,
    RunTool,
    StopHearing,
    Tell,
    ToolDone,
)
from tests.gateway.voice.scene import NOTICE_MS, NOTICES, OPENING, TEXTS, Scene


def test_the_first_that_is_wanted_is_an_engine_and_then_the_greeting() -> None:
    scene = Scene(ready=False)
    assert scene.wanted(Reconnect) == [Reconnect(0, ())]
    [greeting] = scene.tell(EngineReady())
    assert isinstance(greeting, Respond)
    assert OPENING in (greeting.instructions or "")


def test_a_call_that_goes_on_is_not_greeted_again() -> None:
    past = [PastItem(kind="agent", text="Wann passt es Ihnen?")]
    assert Scene(greeted=True, past=past).wanted(Respond) == []


def test_a_call_that_goes_on_answers_what_the_caller_said_last() -> None:
    past = [PastItem(kind="customer", text="Am Donnerstag.")]
    assert Scene(greeted=True, past=past).wanted(Respond) == [Respond()]


def test_a_caller_who_comes_back_from_an_unanswered_transfer_is_told_so() -> None:
    scene = Scene(greeted=True, why="transfer_failed", past=[PastItem(kind="agent", text="Ich verbinde.")])
    assert len(scene.wanted(Tell)) == 1
    assert scene.wanted(Respond) == [Respond()]


def test_what_both_said_is_noted_once_it_was_heard() -> None:
    scene = Scene()
    scene.says(OPENING, 1_000)
    scene.run(500)
    assert scene.wanted(NoteAgent) == []
    scene.run(1_000)
    scene.caller_says("Ich möchte einen Termin.")
    assert scene.wanted(NoteAgent) == [NoteAgent(OPENING, OPENING, 1_000, interrupted=False)]
    assert scene.wanted(NoteCaller) == [NoteCaller("Ich möchte einen Termin.", ago_ms=600)]
    assert [item.text for item in scene.dialogue.history.past] == [OPENING, "Ich möchte einen Termin."]


def test_words_that_come_before_their_sound_are_not_lost() -> None:
    scene = Scene()
    scene.tell(SpokenText(item_id="item-1", text="Guten ", is_final=False))
    scene.says("Tag, hier ist die KI.", 500, ends=False)
    scene.completes("item-1")
    scene.run(1_000)
    assert [note.text_heard for note in scene.wanted(NoteAgent)] == ["Guten Tag, hier ist die KI."]


def test_a_late_transcript_stands_before_the_answer_to_it() -> None:
    scene = Scene()
    scene.greets()
    scene.tell(SpeechStarted())
    scene.run(500)
    scene.tell(SpeechStopped())
    scene.says("Am Donnerstag geht es.", 800)
    scene.hears("Wann haben Sie Zeit?")
    assert [item.kind for item in scene.dialogue.history.past] == ["agent", "customer", "agent"]


def test_a_greeting_that_names_no_machine_is_followed_by_a_reminder() -> None:
    scene = Scene()
    scene.says("Guten Tag!", 600)
    scene.run(1_500)
    [reminder] = scene.wanted(Tell)
    assert OPENING in reminder.text
    scene.says(OPENING, 600)
    scene.run(1_500)
    scene.says("Gern.", 600)
    scene.run(1_500)
    assert len(scene.wanted(Tell)) == 1


def test_a_disclosure_that_was_cut_off_is_made_again() -> None:
    scene = Scene()
    scene.says("Guten Tag und herzlich willkommen im Salon, hier spricht die KI.", 4_000)
    scene.run(1_000)
    scene.tell(SpeechStarted())
    assert len(scene.wanted(Tell)) == 1


def test_without_a_first_word_a_filler_is_heard_after_a_second_and_a_half() -> None:
    scene = Scene(ready=False)
    scene.run(1_400)
    assert scene.heard_notice("filler") == 0
    scene.run(1_500)
    assert scene.heard_notice("filler") == NOTICE_MS


def test_without_a_filler_it_rings_before_the_first_word() -> None:
    scene = Scene(ready=False, notices={"ringing": NOTICES["ringing"]})
    scene.run(3_000)
    assert scene.heard_notice("ringing") == NOTICE_MS


def test_a_silent_caller_is_asked_twice_and_then_bid_goodbye() -> None:
    scene = Scene(idle_prompt_ms=5_000)
    scene.greets()
    scene.run(30_000)
    assert scene.heard_notice("idle") == 2 * NOTICE_MS
    assert scene.heard_notice("goodbye") == NOTICE_MS
    assert scene.wanted(HangUp) == [HangUp("idle")]


def test_a_caller_who_answers_is_asked_anew_later() -> None:
    scene = Scene(idle_prompt_ms=5_000)
    scene.greets()
    for _ in range(3):
        scene.run(6_500)
        scene.caller_says("Ja, einen Moment.")
        scene.says("Gern.", 300)
    scene.run(4_000)
    assert scene.wanted(HangUp) == []


def test_without_a_notice_the_engine_asks_whether_somebody_is_there() -> None:
    scene = Scene(notices={}, idle_prompt_ms=5_000)
    scene.greets()
    scene.run(6_000)
    assert "Sind Sie noch da?" in (scene.wanted(Respond)[-1].instructions or "")


def test_the_longest_call_is_announced_and_ended() -> None:
    scene = Scene(ends_at_ms=70_000, idle_prompt_ms=120_000)
    scene.greets()
    scene.run(60_000)
    assert len(scene.wanted(Tell)) == 1
    scene.run(15_000)
    assert scene.heard_notice("too_long") == NOTICE_MS
    assert scene.wanted(HangUp) == [HangUp("too_long")]


def test_keys_are_told_as_words_and_answered() -> None:
    scene = Scene()
    scene.greets()
    scene.tell(Digit("1"))
    scene.run(500)
    scene.tell(Digit("2"))
    scene.run(2_000)
    assert scene.wanted(AddWords) == [AddWords("[Tasten gedrückt: 12]")]
    assert scene.wanted(Respond)[-1] == Respond()


def test_a_hash_key_ends_the_keys_at_once() -> None:
    scene = Scene()
    scene.greets()
    scene.tell(Digit("7"), Digit("#"))
    scene.run(50)
    assert scene.wanted(AddWords) == [AddWords("[Tasten gedrückt: 7#]")]


@pytest.mark.parametrize(("answer", "agreed"), [("ja gerne", True), ("Ich möchte einen Termin", False)])
def test_a_recording_is_asked_for_after_the_greeting_and_answered_by_the_next_words(
    answer: str, *, agreed: bool
) -> None:
    scene = Scene(asks_recording=True)
    scene.greets()
    scene.run(1_500)
    assert scene.heard_notice("recording_question") == NOTICE_MS
    scene.caller_says(answer)
    scene.caller_says("ja")
    assert scene.wanted(RecordCall) == [RecordCall(agreed=None), RecordCall(agreed=agreed)]


def test_a_recording_is_agreed_to_by_a_key() -> None:
    scene = Scene(asks_recording=True)
    scene.greets()
    scene.tell(Digit("1"))
    scene.run(2_000)
    assert scene.wanted(RecordCall) == [RecordCall(agreed=None), RecordCall(agreed=True)]
    assert scene.wanted(AddWords) == []


def test_tools_run_once_and_are_told_between_two_answers() -> None:
    scene = Scene()
    scene.greets()
    scene.asks("opening_hours")
    scene.asks("opening_hours")
    assert len(scene.wanted(RunTool)) == 1
    scene.says("Ich sehe nach.", 400, ends=False, response="r")
    scene.tell(ToolDone("tool-1", "9 to 18"))
    assert scene.wanted(GiveResult) == []
    scene.tell(ResponseEnded(response_id="r", status="completed"))
    assert scene.wanted(GiveResult) == [GiveResult("tool-1", "9 to 18")]
    assert scene.wanted(Respond)[-1] == Respond()


def test_a_slow_tool_is_bridged_twice_at_most() -> None:
    scene = Scene(idle_prompt_ms=60_000)
    scene.greets()
    scene.asks("opening_hours")
    scene.run(1_000)
    assert scene.heard_notice("filler") == 0
    scene.run(20_000)
    assert scene.heard_notice("filler") == NOTICE_MS
    assert scene.heard_notice("filler_again") == NOTICE_MS


def test_a_result_is_not_answered_while_the_caller_speaks() -> None:
    scene = Scene()
    scene.greets()
    scene.asks("opening_hours")
    scene.tell(SpeechStarted())
    before = len(scene.wanted(Respond))
    scene.tell(ToolDone("tool-1", "9 to 18"))
    assert scene.wanted(GiveResult) == [GiveResult("tool-1", "9 to 18")]
    assert len(scene.wanted(Respond)) == before


def test_hanging_up_waits_until_the_goodbye_is_heard() -> None:
    scene = Scene()
    scene.greets()
    scene.says("Auf Wiederhören und einen schönen Tag!", 2_000, response="r", ends=False)
    scene.completes("item-2")
    scene.asks_in("r", "end_call")
    scene.run(1_900)
    assert scene.wanted(HangUp) == []
    scene.run(500)
    assert scene.wanted(HangUp) == [HangUp("agent_hung_up")]
    assert scene.heard_notice("goodbye") == 0


def test_the_caller_cannot_cut_the_goodbye_off() -> None:
    scene = Scene()
    scene.greets()
    scene.says("Auf Wiederhören!", 1_000, response="r", ends=False)
    scene.completes("item-2")
    scene.asks_in("r", "end_call")
    scene.tell(SpeechStarted())
    scene.run(1_500)
    assert scene.ear.heard_ms(100) == 2_000
    assert scene.wanted(HangUp) == [HangUp("agent_hung_up")]


def test_however_often_a_call_is_ended_it_ends_once() -> None:
    scene = Scene()
    scene.greets()
    for number in range(20):
        scene.asks("end_call", call_id=f"end-{number}")
    scene.run(5_000)
    scene.asks("transfer_call", call_id="late")
    scene.run(5_000)
    assert scene.wanted(HangUp) == [HangUp("agent_hung_up")]
    assert scene.wanted(Forward) == []


def test_a_wordless_end_is_given_a_goodbye() -> None:
    scene = Scene()
    scene.greets()
    scene.asks("end_call")
    scene.run(3_000)
    assert scene.heard_notice("goodbye") == NOTICE_MS
    assert scene.wanted(HangUp) == [HangUp("agent_hung_up")]


def test_a_wordless_end_without_a_notice_has_the_engine_say_goodbye() -> None:
    scene = Scene(notices={})
    scene.greets()
    scene.asks("end_call")
    assert "Auf Wiederhören!" in (scene.wanted(Respond)[-1].instructions or "")
    scene.says("Auf Wiederhören!", 1_000)
    scene.run(2_000)
    assert scene.wanted(HangUp) == [HangUp("agent_hung_up")]


def test_a_goodbye_that_nobody_makes_does_not_keep_the_call() -> None:
    scene = Scene(notices={})
    scene.greets()
    scene.asks("end_call")
    scene.run(20_000)
    assert scene.wanted(HangUp) == [HangUp("agent_hung_up")]


def test_a_carrier_that_echoes_nothing_does_not_keep_the_call() -> None:
    scene = Scene()
    scene.ear.echoes = False
    scene.says("Auf Wiederhören!", 1_000, response="r", ends=False)
    scene.completes("item-1")
    scene.asks_in("r", "end_call")
    scene.run(5_000)
    assert scene.wanted(HangUp) == [HangUp("agent_hung_up")]


def test_a_transfer_waits_for_its_words_and_comes_back_if_nobody_can_be_dialled() -> None:
    scene = Scene(may_forward=True)
    scene.greets()
    scene.asks("transfer_call")
    scene.run(2_000)
    assert scene.heard_notice("connecting") == NOTICE_MS
    assert scene.wanted(Forward) == [Forward("transfer")]
    assert scene.dialogue.state == "forwarding"
    assert scene.tell(SpeechStarted()) + scene.hears("Hallo?") == []
    told = scene.tell(NotForwarded())
    assert [type(effect) for effect in told] == [Tell, Respond]
    scene.says("Leider ist niemand da.", 500)
    scene.run(1_000)
    assert scene.dialogue.state == "listening"


def test_somebody_outside_ends_the_call_politely() -> None:
    scene = Scene()
    scene.greets()
    scene.tell(EndAsked("operator"))
    scene.run(2_000)
    assert scene.heard_notice("goodbye") == NOTICE_MS
    assert scene.wanted(HangUp) == [HangUp("operator")]


def test_a_goodbye_from_outside_waits_for_nothing_that_is_being_said() -> None:
    scene = Scene()
    scene.greets()
    scene.says("Eine lange Geschichte.", 20_000, byte=50, response="r", ends=False)
    scene.run(1_000)
    wanted = scene.tell(EndAsked("operator"))
    assert [type(effect) for effect in wanted[:2]] == [Clear, CancelAnswer]
    scene.says("Noch mehr davon.", 5_000, byte=50, response="r", ends=False)
    scene.tell(ResponseEnded(response_id="r", status="cancelled"))
    scene.run(2_000)
    assert scene.heard_notice("goodbye") == NOTICE_MS
    assert scene.ear.heard_ms(50) < 1_000
    assert scene.wanted(HangUp) == [HangUp("operator")]


def test_what_the_engine_says_of_its_own_accord_during_the_goodbye_is_not_heard() -> None:
    scene = Scene()
    scene.greets()
    scene.asks("end_call")
    scene.tell(SpeechStarted(), SpeechStopped())
    scene.says("Wie bitte?", 3_000, byte=50)
    scene.run(3_000)
    assert scene.ear.heard_ms(50) == 0
    assert len(scene.wanted(CancelAnswer)) == 1
    assert scene.wanted(HangUp) == [HangUp("agent_hung_up")]


def test_a_call_moves_when_nobody_is_in_the_middle_of_a_word() -> None:
    scene = Scene()
    scene.greets()
    scene.says("Wir haben am Donnerstag geöffnet.", 2_000)
    scene.tell(MoveAsked())
    scene.run(1_000)
    assert scene.wanted(Move) == []
    scene.run(1_500)
    assert scene.wanted(Move) == [Move()]
    assert scene.dialogue.state == "moved"
    assert scene.dialogue.history.past[-1].text == "Wir haben am Donnerstag geöffnet."


def test_a_call_in_which_somebody_always_speaks_moves_all_the_same() -> None:
    scene = Scene()
    scene.greets()
    scene.tell(SpeechStarted(), MoveAsked())
    scene.run(25_000)
    assert scene.wanted(Move) == [Move()]


def test_a_call_that_could_not_move_goes_on() -> None:
    scene = Scene()
    scene.greets()
    scene.tell(MoveAsked())
    scene.tell(NotMoved())
    scene.caller_says("Und am Freitag?")
    scene.says("Auch am Freitag.", 500)
    scene.run(1_000)
    assert scene.dialogue.state == "listening"
    assert scene.wanted(Move) == [Move()]


def test_little_credit_is_told_to_the_agent_and_a_top_up_too() -> None:
    scene = Scene()
    scene.greets()
    assert len(scene.tell(WrapUp(8_000))) == 1
    assert scene.dialogue.state == "wrapping_up"
    assert len(scene.tell(Continued())) == 1
    assert scene.dialogue.state == "listening"


def test_when_credits_end_a_notice_is_heard_and_nothing_else() -> None:
    scene = Scene()
    scene.greets()
    scene.says("Das erkläre ich Ihnen ausführlich.", 5_000, byte=50, response="r", ends=False)
    scene.run(1_000)
    wanted = scene.tell(CutOff(scene.now + 3_000))
    assert isinstance(wanted[0], StopHearing)
    assert scene.dialogue.state == "exhausted"
    scene.says("Und weiter.", 3_000, byte=50, response="r")
    scene.tell(SpeechStarted())
    scene.hears("Hallo?")
    scene.run(2_000)
    assert scene.heard_notice("credits_ended") == NOTICE_MS
    assert scene.ear.heard_ms(50) < 1_000
    assert scene.wanted(HangUp) == [HangUp("credits_ended")]
    assert scene.now - scene.when(StopHearing)[0] < 2_500


def test_when_credits_end_without_a_notice_the_carrier_says_it() -> None:
    scene = Scene(notices={})
    scene.greets()
    scene.tell(CutOff(scene.now + 3_000))
    assert scene.wanted(HangUp) == [HangUp("credits_ended", say="Leider muss ich hier enden.")]


def test_when_credits_end_the_caller_is_forwarded_if_that_was_chosen_and_else_hung_up_on() -> None:
    scene = Scene(forwards_when_credits_end=True, may_forward=True)
    scene.greets()
    scene.tell(CutOff(scene.now + 3_000))
    scene.run(2_000)
    assert scene.wanted(Forward) == [Forward("credits_ended")]
    assert (scene.heard_notice("connecting"), scene.heard_notice("credits_ended")) == (NOTICE_MS, 0)
    scene.tell(NotForwarded())
    assert scene.wanted(HangUp) == [HangUp("credits_ended", say=TEXTS["credits_ended"])]


@pytest.mark.parametrize("may_forward", [True, False])
def test_an_engine_that_refuses_for_good_ends_in_a_notice(*, may_forward: bool) -> None:
    scene = Scene(may_forward=may_forward)
    scene.greets()
    scene.tell(EngineGone(fatal=True))
    scene.run(2_000)
    assert scene.heard_notice("connecting" if may_forward else "technical") == NOTICE_MS
    assert scene.wanted(Reconnect) == [Reconnect(0, ())]
    assert (len(scene.wanted(Forward)), len(scene.wanted(HangUp))) == ((1, 0) if may_forward else (0, 1))


def test_a_caller_who_is_gone_leaves_only_what_was_heard() -> None:
    scene = Scene()
    scene.says("Guten Tag, hier ist die KI und noch viele Worte mehr.", 4_000)
    scene.run(3_000)
    [note] = scene.tell(CallerGone("caller_hung_up"))
    assert isinstance(note, NoteAgent)
    assert note.interrupted
    assert note.text_heard.startswith("Guten Tag, hier ist die KI")
    assert scene.dialogue.state == "over"
    assert scene.tell(SpeechStarted(), EngineGone(), EndAsked("late")) == []
    assert scene.run(60_000) == []
