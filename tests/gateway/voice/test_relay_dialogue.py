"""A call by text, told word by word: who speaks when, what is said, and how it ends."""

import json
from collections.abc import Sequence

import pytest

from agents.agent import AgentConfiguration, parse_agent
from gateway.voice.call_meter import Continued, CutOff, WrapUp
from gateway.voice.engines import conversation_relay_wire as wire
from gateway.voice.engines.base import PastItem
from gateway.voice.relay.dialogue import RelayDialogue
from gateway.voice.relay.signals import (
    Abandon,
    Answered,
    Draft,
    Ending,
    NotAnswered,
    RelayEffect,
    RelayTold,
    Say,
    Wrote,
)
from gateway.voice.relay.speech import Heard
from gateway.voice.talk.signals import (
    CallerGone,
    EndAsked,
    Forward,
    HangUp,
    Move,
    MoveAsked,
    NoteCaller,
    NotForwarded,
    NotMoved,
    RecordCall,
)

OPENING = "Guten Tag, hier ist die digitale Assistentin (KI) vom Salon Lindenhof. Was kann ich für Sie tun?"
PRICE = "Ein Haarschnitt kostet zweiundvierzig Euro."


def agent(**voice: object) -> AgentConfiguration:
    table = {"name": "Rezeption", "instructions": "Sei freundlich.", "language": "de"}
    return parse_agent({**table, "voice": {"engine": "conversation_relay", **voice}})


class Telephone:
    """Drives a dialogue: every effect is kept, Twilio speaks as fast as is guessed."""

    def __init__(
        self,
        configuration: AgentConfiguration | None = None,
        *,
        past: Sequence[PastItem] = (),
        opening: str = OPENING,
        asks_recording: bool = False,
    ) -> None:
        self.configuration = configuration or agent()
        self.room = 1_000
        self.now_ms = 0
        self.dialogue = RelayDialogue(
            self.configuration,
            count_tokens=lambda text: len(text.split()),
            room_tokens=lambda: self.room,
            ends_ms=self.configuration.voice.max_minutes * 60_000,
            past=tuple(past),
            asks_recording=asks_recording,
        )
        self.effects: list[RelayEffect] = []
        self._keep(self.dialogue.begin(opening, 0))

    def _keep(self, effects: list[RelayEffect]) -> list[RelayEffect]:
        self.effects.extend(effects)
        return effects

    def tell(self, told: RelayTold) -> list[RelayEffect]:
        return self._keep(self.dialogue.receive(told, self.now_ms))

    def hear(self, text: str, *, is_final: bool = True) -> list[RelayEffect]:
        return self.tell(wire.Prompted(text=text, language="de-DE", is_final=is_final))

    def press(self, digits: str) -> list[RelayEffect]:
        return [effect for digit in digits for effect in self.tell(wire.Pressed(digit=digit))]

    def interrupt(self, heard: str = "") -> list[RelayEffect]:
        return self.tell(wire.Interrupted(heard=heard, after_ms=None))

    def answer(self, text: str, ending: Ending | None = None) -> list[RelayEffect]:
        return self.tell(Answered(draft=self.draft.draft, text=text, ending=ending))

    def wait(self, ms: int) -> list[RelayEffect]:
        """Let time pass, step by step as the dialogue asks for it."""
        until_ms = self.now_ms + ms
        found: list[RelayEffect] = []
        while (due_ms := self.dialogue.next_due_ms(self.now_ms)) is not None and due_ms <= until_ms:
            assert due_ms >= self.now_ms
            self.now_ms = max(self.now_ms, due_ms)
            more = self._keep(self.dialogue.due(self.now_ms))
            found += more
            assert more or self.dialogue.next_due_ms(self.now_ms) != due_ms, "it spins"
        self.now_ms = until_ms
        return found

    @property
    def draft(self) -> Draft:
        return next(effect for effect in reversed(self.effects) if isinstance(effect, Draft))

    @property
    def said(self) -> list[str]:
        return said(self.effects)

    @property
    def outcomes(self) -> list[RelayEffect]:
        return [effect for effect in self.effects if isinstance(effect, HangUp | Forward | Move)]


def said(effects: Sequence[RelayEffect]) -> list[str]:
    return ["".join(effect.pieces) for effect in effects if isinstance(effect, Say)]


def kinds(effects: Sequence[RelayEffect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def test_it_greets_and_says_what_it_is() -> None:
    call = Telephone()
    assert call.said == [OPENING]
    assert [effect.pieces for effect in call.effects if isinstance(effect, Say)] == [
        (
            "Guten Tag, hier ist die digitale Assistentin (KI) vom Salon Lindenhof. ",
            "Was kann ich für Sie tun?",
        )
    ]


def test_a_question_is_answered_from_what_was_said() -> None:
    call = Telephone()
    call.wait(10_000)
    assert kinds(call.hear("Was kostet ein Haarschnitt?")) == ["NoteCaller", "Draft"]
    assert call.draft.words == ("Was kostet ein Haarschnitt?",)
    assert call.draft.past == (PastItem(kind="agent", text=OPENING),)
    assert said(call.answer(f"**{PRICE}**")) == [PRICE]
    call.wait(5_000)
    call.hear("Danke.")
    assert [(item.kind, item.text) for item in list(call.draft.past)[1:]] == [
        ("customer", "Was kostet ein Haarschnitt?"),
        ("agent", PRICE),
    ]


def test_partial_words_and_silence_are_not_answered() -> None:
    call = Telephone()
    assert call.hear("Was", is_final=False) == []
    assert call.hear("") == []


def test_what_was_cut_off_was_not_said() -> None:
    call = Telephone()
    heard = call.interrupt("Guten Tag, hier ist die digitale Assistentin (KI)")
    assert [effect.heard for effect in heard if isinstance(effect, Heard)] == [
        "Guten Tag, hier ist die digitale Assistentin (KI"
    ]
    call.hear("Was kostet das?")
    assert call.draft.past == (PastItem(kind="agent", text="Guten Tag, hier ist die digitale Assistentin (KI"),)
    assert call.draft.notes == ()


def test_a_caller_who_cut_off_the_disclosure_hears_it_with_the_next_answer() -> None:
    call = Telephone()
    call.interrupt("Guten Tag")
    call.hear("Was kostet das?")
    [note] = call.draft.notes
    assert "KI" in note
    call.answer(PRICE)
    call.wait(5_000)
    call.hear("Und das?")
    assert call.draft.notes == ()


def test_newer_words_abandon_the_draft_and_both_are_answered() -> None:
    call = Telephone()
    call.hear("Was kostet ein Haarschnitt?")
    first = call.draft.draft
    assert kinds(call.hear("Und eine Farbe?")) == ["NoteCaller", "Abandon", "Draft"]
    assert call.draft.words == ("Was kostet ein Haarschnitt?", "Und eine Farbe?")
    assert call.tell(Answered(draft=first, text="zu spät")) == []


def test_a_draft_that_has_changed_something_is_said_before_newer_words_are_answered() -> None:
    call = Telephone()
    call.wait(10_000)
    call.hear("Buchen Sie mir Dienstag um neun.")
    call.tell(Wrote(draft=call.draft.draft))
    assert kinds(call.hear("Ach, und was kostet das?")) == ["NoteCaller"]
    assert kinds(call.interrupt()) == []
    effects = call.answer("Gebucht, Dienstag um neun Uhr.")
    assert said(effects) == ["Gebucht, Dienstag um neun Uhr."]
    assert call.draft.words == ("Ach, und was kostet das?",)
    assert call.draft.past[-2].text == "Buchen Sie mir Dienstag um neun."


def test_an_answer_does_not_cut_off_the_one_before() -> None:
    call = Telephone()
    call.wait(10_000)
    call.hear("Buchen Sie mir Dienstag um neun.")
    call.tell(Wrote(draft=call.draft.draft))
    call.hear("Ach, und was kostet das?")
    call.answer("Gebucht, Dienstag um neun Uhr.")
    assert said(call.answer(PRICE)) == []
    assert said(call.wait(4_000)) == [PRICE]


def test_newer_words_drop_an_answer_that_waits_to_be_said() -> None:
    call = Telephone()
    call.wait(10_000)
    call.hear("Buchen Sie mir Dienstag um neun.")
    call.tell(Wrote(draft=call.draft.draft))
    call.hear("Ach, und was kostet das?")
    call.answer("Gebucht, Dienstag um neun Uhr.")
    call.answer(PRICE)
    call.hear("Und wie lange dauert es?")
    assert call.draft.words == ("Ach, und was kostet das?", "Und wie lange dauert es?")
    assert said(call.wait(1_000)) == []
    assert said(call.answer("Dreißig Minuten, zweiundvierzig Euro.")) == []
    assert said(call.wait(4_000)) == ["Dreißig Minuten, zweiundvierzig Euro."]


def test_an_interruption_without_words_does_not_leave_the_caller_without_an_answer() -> None:
    call = Telephone()
    call.hear("Was kostet ein Haarschnitt?")
    assert Abandon() in call.interrupt("Guten Tag, hier ist die digitale Assistentin (KI) vom")
    again = call.wait(3_000)
    assert kinds(again)[0] == "Draft"
    assert call.draft.words == ("Was kostet ein Haarschnitt?",)


def test_a_caller_who_goes_on_speaking_is_listened_to_first() -> None:
    call = Telephone()
    call.hear("Was kostet ein Haarschnitt?")
    assert Abandon() in call.hear("und", is_final=False)
    call.wait(1_000)
    call.hear("und eine", is_final=False)
    assert "Draft" not in kinds(call.wait(2_000))
    call.hear("und eine Farbe?")
    assert call.draft.words == ("Was kostet ein Haarschnitt?", "und eine Farbe?")


def test_who_waits_long_is_told_so_twice_and_no_more() -> None:
    call = Telephone()
    call.wait(10_000)
    call.hear("Wann haben Sie Zeit?")
    assert said(call.wait(1_199)) == []
    assert said(call.wait(2)) == [call.configuration.voice.filler_texts[0]]
    assert said(call.wait(30_000)) == [call.configuration.voice.filler_texts[1]]
    call.answer(PRICE)
    call.wait(5_000)
    call.hear("Gut.")
    assert [item.text for item in call.draft.past[1:]] == ["Wann haben Sie Zeit?", PRICE]


def test_fillers_cost_nothing_and_are_not_cut_off_by_the_answer() -> None:
    call = Telephone()
    call.wait(10_000)
    call.hear("Wann haben Sie Zeit?")
    [filler] = [effect for effect in call.wait(1_300) if isinstance(effect, Say)]
    assert not filler.preemptible
    heard = [effect for effect in call.wait(20_000) if isinstance(effect, Heard)]
    assert [one.billable for one in heard] == [False, False]


def test_a_silent_caller_is_asked_twice_and_then_taken_leave_of() -> None:
    call = Telephone()
    effects = call.wait(120_000)
    style = call.configuration.voice
    assert said(effects) == [style.idle_text, style.idle_text, style.goodbye_text]
    assert call.outcomes == [HangUp("idle")]


def test_a_caller_who_speaks_again_is_not_taken_leave_of() -> None:
    call = Telephone()
    call.wait(23_000)
    call.tell(wire.Speaking(who="caller", begun=True))
    assert call.said.count(call.configuration.voice.idle_text) == 1
    assert call.wait(15_000) == []
    call.hear("Moment noch.")
    assert call.outcomes == []


def test_keys_are_told_to_the_agent_once_the_caller_has_pressed_them_all() -> None:
    call = Telephone()
    assert call.press("12") == []
    assert kinds(call.wait(1_600)) == ["Draft"]
    assert call.draft.words == ("[Tasten gedrückt: 12]",)


def test_a_hash_ends_a_number() -> None:
    call = Telephone()
    assert kinds(call.press("4#")) == ["Draft"]
    assert call.draft.words == ("[Tasten gedrückt: 4#]",)


def test_the_agent_hangs_up_once_its_goodbye_was_heard() -> None:
    call = Telephone()
    call.wait(10_000)
    call.hear("Das war alles, tschüss.")
    call.answer("Auf Wiederhören!", "end_call")
    assert call.outcomes == []
    assert call.hear("Tschüss!") == [NoteCaller("Tschüss!")]
    call.wait(5_000)
    assert call.outcomes == [HangUp("agent_hung_up")]
    call.wait(600_000)
    assert len(call.outcomes) == 1


def test_an_agent_that_hangs_up_without_a_word_says_goodbye_all_the_same() -> None:
    call = Telephone()
    call.hear("Tschüss.")
    assert said(call.answer("", "end_call")) == [call.configuration.voice.goodbye_text]


def test_a_caller_is_put_through_once_the_words_were_heard() -> None:
    call = Telephone(agent(transfer_to="+49301234567"))
    call.wait(10_000)
    call.hear("Ich möchte einen Menschen sprechen.")
    call.answer("Ich verbinde Sie.", "transfer_call")
    call.wait(5_000)
    assert call.outcomes == [Forward("transfer")]
    assert said(call.tell(NotForwarded())) == [call.configuration.voice.not_reached_text]
    call.wait(6_000)
    call.hear("Dann eine Nachricht bitte.")
    assert any("gescheitert" in note for note in call.draft.notes)


def test_no_model_is_a_technical_problem() -> None:
    call = Telephone()
    call.wait(10_000)
    call.hear("Was kostet das?")
    [regret] = [effect for effect in call.tell(NotAnswered(draft=call.draft.draft)) if isinstance(effect, Say)]
    assert regret.pieces[0] in call.configuration.voice.technical_text
    assert not regret.interruptible
    call.wait(20_000)
    assert call.outcomes == [HangUp("technical")]


def test_no_model_and_a_person_to_go_to_is_no_problem() -> None:
    call = Telephone(agent(transfer_to="+49301234567"))
    call.hear("Was kostet das?")
    call.tell(NotAnswered(draft=call.draft.draft))
    call.wait(20_000)
    assert call.outcomes == [Forward("technical")]
    assert said(call.tell(NotForwarded())) == [call.configuration.voice.technical_text]
    call.wait(20_000)
    assert call.outcomes[-1] == HangUp("technical")


def test_the_agent_is_told_to_come_to_an_end_as_long_as_credits_are_short() -> None:
    call = Telephone()
    call.tell(WrapUp(30_000))
    call.hear("Was kostet das?")
    assert any("weniger als einer Minute" in note for note in call.draft.notes)
    call.tell(Continued())
    call.hear("Hallo?")
    assert call.draft.notes == ()


def test_when_credits_end_what_is_said_stops_and_a_notice_follows() -> None:
    call = Telephone()
    call.wait(10_000)
    call.hear("Was kostet das?")
    effects = call.tell(CutOff(30_000))
    assert Abandon() in effects
    assert said(effects) == [call.configuration.voice.credits_end_text]
    [notice] = [effect for effect in effects if isinstance(effect, Say)]
    assert not notice.interruptible
    assert call.hear("Wie bitte?") == []
    call.wait(15_000)
    assert call.outcomes == [HangUp("credits_ended")]


def test_a_call_without_credits_is_over_in_time_whatever_twilio_tells() -> None:
    call = Telephone()
    call.wait(10_000)
    call.tell(wire.Speaking(who="agent", begun=True))
    call.tell(CutOff(11_000))
    call.wait(1_000)
    assert call.outcomes == [HangUp("credits_ended")]


def test_a_call_without_credits_goes_to_a_person_if_the_owner_wants() -> None:
    call = Telephone(agent(transfer_to="+49301234567", when_credits_end="forward"))
    effects = call.tell(CutOff(30_000))
    assert said(effects) == [call.configuration.voice.connecting_text]
    call.wait(15_000)
    assert call.outcomes == [Forward("credits_ended")]
    call.tell(NotForwarded())
    assert call.outcomes[-1] == HangUp("credits_ended")


def test_nothing_is_said_beyond_what_is_paid() -> None:
    call = Telephone()
    call.wait(10_000)
    call.hear("Was kostet das?")
    call.room = 3
    assert said(call.answer(PRICE)) == ["Ein Haarschnitt kostet", call.configuration.voice.credits_end_text]
    call.wait(15_000)
    assert call.outcomes == [HangUp("credits_ended")]


def test_what_waits_to_be_heard_is_paid_from_the_same_minute() -> None:
    call = Telephone()
    call.hear("Was kostet das?")
    call.room = len(OPENING.split()) + 2
    assert said(call.answer(PRICE))[0] == "Ein Haarschnitt"


def test_nobody_listens_for_longer_than_a_minute() -> None:
    call = Telephone()
    call.wait(10_000)
    call.hear("Was kostet das?")
    [answer] = said(call.answer(" ".join(["Ja."] * 1_000)))
    assert len(answer.split()) == 300
    assert call.outcomes == []


def test_an_answer_that_nothing_pays_ends_the_call() -> None:
    call = Telephone()
    call.wait(10_000)
    call.hear("Was kostet das?")
    call.room = 0
    assert said(call.answer(PRICE)) == [call.configuration.voice.credits_end_text]
    call.wait(15_000)
    assert call.outcomes == [HangUp("credits_ended")]


def test_a_call_that_has_lasted_long_enough_ends() -> None:
    call = Telephone(agent(max_minutes=1, idle_prompt_s=120))
    assert said(call.wait(61_000)) == [call.configuration.voice.too_long_text]
    call.wait(15_000)
    assert call.outcomes == [HangUp("too_long")]


def test_what_a_tool_has_changed_is_told_before_a_call_ends_that_is_too_long() -> None:
    call = Telephone(agent(max_minutes=1, idle_prompt_s=120))
    call.wait(59_000)
    call.hear("Buchen Sie das.")
    call.tell(Wrote(draft=call.draft.draft))
    assert call.configuration.voice.too_long_text not in said(call.wait(3_000))
    assert said(call.answer("Gebucht.")) == ["Gebucht."]
    assert said(call.wait(3_000)) == [call.configuration.voice.too_long_text]


def test_somebody_outside_can_end_the_call() -> None:
    call = Telephone()
    assert said(call.tell(EndAsked("owner"))) == []  # the greeting is heard to its end
    assert said(call.wait(20_000)) == [call.configuration.voice.goodbye_text]
    assert call.outcomes == [HangUp("owner")]


def test_a_call_moves_when_nobody_is_in_the_middle_of_a_word() -> None:
    call = Telephone()
    call.tell(MoveAsked())
    assert call.outcomes == []
    call.wait(9_000)
    assert call.outcomes == [Move()]
    call.tell(NotMoved())
    call.hear("Was kostet das?")
    assert call.draft.words == ("Was kostet das?",)


def test_a_call_does_not_move_while_the_caller_speaks_or_is_owed_an_answer() -> None:
    call = Telephone()
    call.wait(9_500)
    call.tell(wire.Speaking(who="caller", begun=True))
    call.tell(MoveAsked())
    assert call.outcomes == []
    call.hear("Was kostet das?")
    assert call.outcomes == []
    call.answer(PRICE)
    call.wait(6_000)
    assert call.outcomes == [Move()]


def test_a_caller_who_is_gone_has_heard_no_more() -> None:
    call = Telephone()
    call.hear("Tschüss")
    call.now_ms = 2_000
    effects = call.tell(CallerGone("caller_hung_up"))
    assert kinds(effects)[:2] == ["Abandon", "Heard"]
    [heard] = [effect for effect in effects if isinstance(effect, Heard)]
    assert heard.interrupted
    assert call.outcomes == [HangUp("caller_hung_up")]


def test_a_call_that_goes_on_elsewhere_greets_nobody_and_answers_what_waits() -> None:
    past = (
        PastItem(kind="agent", text=OPENING),
        PastItem(kind="customer", text="Was kostet das?"),
    )
    call = Telephone(past=past, opening="")
    assert call.said == []
    assert call.draft.words == ("Was kostet das?",)
    assert call.draft.past == past[:1]
    assert call.dialogue.past == past


def test_a_recording_needs_a_plain_yes() -> None:
    call = Telephone(agent(recording="ask"), asks_recording=True)
    assert call.said == [OPENING, call.configuration.voice.recording_text]
    assert RecordCall(agreed=True) in call.hear("Ja, gerne.")
    assert not any(isinstance(effect, RecordCall) for effect in call.hear("Ja, gerne."))


@pytest.mark.parametrize("answer", ["Nein.", "Was kostet ein Haarschnitt?"])
def test_whatever_else_is_said_is_a_no(answer: str) -> None:
    call = Telephone(agent(recording="ask"), asks_recording=True)
    assert RecordCall(agreed=False) in call.hear(answer)
    assert call.draft.words == (answer,)


def test_a_recording_is_agreed_to_by_a_key() -> None:
    call = Telephone(agent(recording="ask"), asks_recording=True)
    assert RecordCall(agreed=True) in call.press("1")


def test_what_twilio_objects_to_or_says_of_itself_changes_nothing() -> None:
    call = Telephone()
    for frame in ({"type": "error", "description": "64107"}, {"type": "of tomorrow"}, {"type": "prompt"}):
        assert call.tell(wire.read(json.dumps(frame))) == []


def test_the_live_view_says_what_happens() -> None:
    call = Telephone()
    assert call.dialogue.state == "speaking"
    call.wait(9_000)
    assert call.dialogue.state == "listening"
    call.hear("Was kostet das?")
    assert call.dialogue.state == "thinking"
    call.answer("Tschüss!", "end_call")
    assert call.dialogue.state == "ending"
