from gateway.voice.engines.base import (
    AudioDelta,
    AudioDone,
    ResponseEnded,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    SpokenText,
)
from gateway.voice.media_stream import Digit
from gateway.voice.talk.signals import CancelAnswer, Clear, NoteAgent, Truncate
from tests.gateway.voice.scene import NOTICE_MS, Scene


def test_an_interruption_clears_and_truncates_at_what_was_heard() -> None:
    scene = Scene()
    scene.greets()
    scene.says("Unsere Öffnungszeiten sind von neun bis achtzehn Uhr.", 4_000)
    scene.run(2_150)
    wanted = scene.tell(SpeechStarted())
    assert isinstance(wanted[0], Clear)
    [cut] = [effect for effect in wanted if isinstance(effect, Truncate)]
    assert cut.item_id == "item-2"
    assert abs(cut.heard_ms - 2_000) <= 40
    [note] = [effect for effect in wanted if isinstance(effect, NoteAgent)]
    assert note.interrupted
    assert note.text_heard == "Unsere Öffnungszeiten sind …"


def test_later_items_were_not_heard_at_all() -> None:
    scene = Scene()
    scene.greets()
    scene.says("Eins.", 1_000, response="r", item="a", ends=False)
    scene.says("Zwei.", 1_000, response="r", item="b", ends=False)
    scene.says("Drei.", 1_000, response="r", item="c")
    scene.run(600)
    scene.tell(SpeechStarted())
    assert [(cut.item_id, cut.heard_ms > 0) for cut in scene.wanted(Truncate)] == [
        ("a", True),
        ("b", False),
        ("c", False),
    ]


def test_an_engine_that_interrupts_itself_is_not_cancelled() -> None:
    scene = Scene()
    scene.greets()
    scene.says("Eins.", 3_000, ends=False)
    scene.run(500)
    scene.tell(SpeechStarted())
    assert scene.wanted(CancelAnswer) == []


def test_an_engine_that_does_not_interrupt_itself_is_cancelled() -> None:
    scene = Scene(interrupts_itself=False)
    scene.greets()
    scene.says("Eins.", 3_000, ends=False)
    scene.run(500)
    scene.tell(SpeechStarted())
    assert scene.wanted(CancelAnswer) == [CancelAnswer()]


def test_a_full_duplex_engine_is_only_silenced_at_the_carrier() -> None:
    scene = Scene(full_duplex=True)
    scene.greets()
    scene.says("Eins.", 3_000, ends=False)
    scene.run(500)
    wanted = scene.tell(SpeechStarted())
    assert [type(effect) for effect in wanted] == [Clear, NoteAgent]


def test_nothing_is_interrupted_when_nothing_is_unplayed() -> None:
    scene = Scene()
    scene.greets()
    scene.run(1_000)
    assert scene.tell(SpeechStarted()) == []


def test_what_still_comes_of_an_interrupted_answer_is_not_heard() -> None:
    scene = Scene()
    scene.greets()
    response = scene.says("Eins.", 2_000, byte=50, item="a", ends=False)
    scene.run(500)
    scene.tell(SpeechStarted())
    for item in ("a", "b"):
        scene.tell(
            AudioDelta(response_id=response, item_id=item, content_index=0, audio=bytes([50]) * 8_000),
            SpokenText(item_id=item, text="Zu spät.", is_final=True),
            AudioDone(item_id=item, content_index=0),
        )
    scene.tell(ResponseEnded(response_id=response, status="cancelled"))
    scene.run(3_000)
    assert scene.ear.heard_ms(50) < 600
    assert "Zu spät." not in [item.text for item in scene.dialogue.history.past]


def test_an_answer_that_was_interrupted_before_its_first_word_is_not_heard() -> None:
    scene = Scene()
    scene.greets()
    scene.tell(ResponseStarted(response_id="r"), SpeechStarted())
    scene.tell(AudioDelta(response_id="r", item_id="a", content_index=0, audio=bytes([50]) * 8_000))
    scene.run(2_000)
    assert scene.ear.heard_ms(50) == 0


def test_a_greeting_that_may_not_be_interrupted_is_heard_to_its_end() -> None:
    scene = Scene(interruptible_greeting=False, interrupts_itself=False)
    scene.says("Guten Tag, hier ist die KI.", 2_000, byte=50)
    scene.run(500)
    assert scene.tell(SpeechStarted()) == []
    scene.run(3_000)
    assert scene.ear.heard_ms(50) == 2_000
    scene.tell(SpeechStopped())
    scene.says("Gern.", 2_000, byte=51)
    scene.run(500)
    scene.tell(SpeechStarted())
    assert len(scene.wanted(Clear)) == 1


def test_a_cough_does_not_interrupt_where_the_caller_must_have_spoken_for_a_while() -> None:
    scene = Scene(min_interrupt_ms=250, interrupts_itself=False)
    scene.greets()
    scene.says("Eins.", 3_000, byte=50)
    scene.run(500)
    scene.tell(SpeechStarted())
    scene.run(200)
    scene.tell(SpeechStopped())
    scene.run(3_000)
    assert scene.ear.heard_ms(50) == 3_000
    assert scene.dialogue.course.false_interruptions == 1


def test_a_caller_who_goes_on_speaking_interrupts_after_that_while() -> None:
    scene = Scene(min_interrupt_ms=250, interrupts_itself=False)
    scene.greets()
    scene.says("Eins.", 3_000, byte=50, ends=False)
    scene.run(500)
    began = scene.now
    scene.tell(SpeechStarted())
    scene.run(1_000)
    assert scene.when(Clear) == [began + 250]
    assert scene.wanted(CancelAnswer) == [CancelAnswer()]


def test_a_key_interrupts_and_the_engine_is_told_to_stop() -> None:
    scene = Scene()
    scene.greets()
    scene.says("Eins.", 3_000, ends=False)
    scene.run(500)
    wanted = scene.tell(Digit("1"))
    assert [type(effect) for effect in wanted] == [Clear, CancelAnswer, Truncate, NoteAgent]


def test_a_notice_of_ours_is_interrupted_but_the_engine_is_told_nothing_of_it() -> None:
    scene = Scene(idle_prompt_ms=5_000)
    scene.greets()
    scene.run(5_500)
    wanted = scene.tell(SpeechStarted())
    assert [type(effect) for effect in wanted] == [Clear, NoteAgent]
    scene.run(2_000)
    assert 0 < scene.heard_notice("idle") < NOTICE_MS
