from gateway.voice.engines.base import (
    PastItem,
    ResponseEnded,
    ResponseStarted,
    Seconds,
    SpeechStarted,
    ToolAsked,
    Trouble,
)
from gateway.voice.talk.signals import (
    EngineGone,
    EngineReady,
    Forward,
    GiveResult,
    HangUp,
    Reconnect,
    Respond,
    RunTool,
    Tell,
    ToolDone,
    Truncate,
)
from tests.gateway.voice.scene import NOTICE_MS, OPENING, Scene


def test_a_lost_engine_is_replaced_by_one_that_knows_what_was_said() -> None:
    scene = Scene()
    scene.greets()
    scene.caller_says("Wann haben Sie offen?")
    scene.says("Wir haben", 1_000, ends=False)
    [wanted] = scene.tell(EngineGone())
    assert wanted == Reconnect(
        250,
        (
            PastItem(kind="agent", text=OPENING),
            PastItem(kind="customer", text="Wann haben Sie offen?"),
            PastItem(kind="agent", text="Wir haben"),
        ),
    )
    scene.run(300)
    assert scene.tell(EngineReady()) == [Respond()]


def test_three_tries_are_made_a_little_later_each_time() -> None:
    scene = Scene()
    scene.greets()
    scene.run(10_000)
    for _ in range(4):
        scene.tell(EngineGone())
    assert [wanted.after_ms for wanted in scene.wanted(Reconnect)] == [0, 250, 500, 1_000]
    scene.run(2_000)
    assert scene.wanted(HangUp) == [HangUp("technical")]


def test_sessions_that_break_at_once_are_not_begun_for_ever() -> None:
    scene = Scene()
    for _ in range(4):
        scene.tell(EngineGone())
        scene.run(1_000)
        scene.tell(EngineReady())
    scene.run(3_000)
    assert scene.wanted(HangUp) == [HangUp("technical")]


def test_the_loss_of_a_session_that_lasted_is_counted_anew() -> None:
    scene = Scene(idle_prompt_ms=120_000)
    for _ in range(5):
        scene.greets()
        scene.run(10_000)
        scene.tell(EngineGone())
        scene.run(300)
        scene.tell(EngineReady())
    assert scene.wanted(HangUp) == []


def test_what_the_lost_engine_gave_is_heard_but_not_truncated_at_the_next_one() -> None:
    scene = Scene()
    scene.greets()
    scene.says("Wir haben von neun", 2_000, byte=50, ends=False)
    scene.tell(EngineGone())
    scene.run(1_000)
    scene.tell(EngineReady())
    scene.tell(SpeechStarted())
    assert scene.wanted(Truncate) == []
    assert 500 < scene.ear.heard_ms(50) < 2_000


def test_a_long_reconnection_is_bridged() -> None:
    scene = Scene()
    scene.greets()
    scene.tell(EngineGone())
    scene.run(900)
    assert scene.heard_notice("filler") == 0
    scene.run(1_500)
    assert scene.heard_notice("filler") == NOTICE_MS


def test_a_greeting_is_not_repeated_to_a_caller_who_heard_it() -> None:
    scene = Scene()
    scene.greets()
    before = len(scene.wanted(Respond))
    scene.tell(EngineGone(), EngineReady())
    assert len(scene.wanted(Respond)) == before


def test_a_greeting_that_was_lost_is_made_by_the_next_engine() -> None:
    scene = Scene()
    scene.tell(ResponseStarted(response_id="r"), EngineGone())
    [again] = scene.tell(EngineReady())
    assert isinstance(again, Respond)
    assert OPENING in (again.instructions or "")


def test_a_tool_is_not_run_again_by_the_next_engine() -> None:
    scene = Scene()
    scene.greets()
    scene.asks("book")
    scene.tell(ToolDone("tool-1", "booked"))
    scene.says("Gebucht.", 500)
    scene.run(1_000)
    [wanted] = scene.tell(EngineGone())
    assert isinstance(wanted, Reconnect)
    assert [(item.kind, item.text) for item in wanted.past][1:] == [("tool", "booked"), ("agent", "Gebucht.")]
    scene.tell(EngineReady())
    scene.asks("book")
    assert len(scene.wanted(RunTool)) == 1


def test_a_result_that_comes_after_the_loss_is_told_in_words() -> None:
    scene = Scene()
    scene.greets()
    scene.asks("book")
    scene.tell(EngineGone(), EngineReady())
    wanted = scene.tell(ToolDone("tool-1", "booked"))
    assert [type(effect) for effect in wanted] == [Tell, Respond]
    assert scene.wanted(GiveResult) == []


def test_a_session_is_replaced_before_its_end_when_nobody_speaks() -> None:
    scene = Scene(ready=False, idle_prompt_ms=3_600_000, ends_at_ms=7_200_000)
    scene.tell(EngineReady(expires_ms=900_000))
    scene.greets()
    scene.run(590_000)
    scene.says("Eine lange Antwort.", 20_000)
    scene.run(15_000)
    assert len(scene.wanted(Reconnect)) == 1
    scene.run(10_000)
    assert [wanted.after_ms for wanted in scene.wanted(Reconnect)] == [0, 0]
    assert scene.dialogue.course.rotations == 1
    scene.tell(EngineReady(expires_ms=scene.now + 900_000))
    scene.run(10_000)
    assert len(scene.wanted(Reconnect)) == 2


def test_an_engine_that_says_nothing_is_replaced() -> None:
    scene = Scene(idle_prompt_ms=5_000)
    scene.greets()
    scene.tell(ResponseStarted(response_id="stuck"))
    scene.run(6_000)
    assert [wanted.after_ms for wanted in scene.wanted(Reconnect)] == [0, 250]
    assert scene.tell(EngineReady()) == [Respond()]


def test_answers_that_fail_are_asked_for_again_and_not_for_ever() -> None:
    scene = Scene()
    scene.greets()
    for number in range(3):
        scene.tell(ResponseStarted(response_id=f"r{number}"), ResponseEnded(response_id=f"r{number}", status="failed"))
    assert len(scene.wanted(Respond)) == 3
    scene.run(2_000)
    assert scene.wanted(HangUp) == [HangUp("technical")]


def test_fatal_trouble_ends_the_call_in_words_and_other_trouble_is_counted() -> None:
    scene = Scene(may_forward=True)
    scene.greets()
    scene.tell(Trouble(code="response_cancel_not_active", severity="harmless"), Seconds(seconds=3))
    assert scene.wanted(Forward) == []
    scene.tell(Trouble(code="insufficient_quota", severity="fatal"))
    scene.run(2_000)
    assert scene.wanted(Forward) == [Forward("technical")]
    assert dict(scene.dialogue.course.troubles) == {"response_cancel_not_active": 1, "insufficient_quota": 1}


def test_an_engine_lost_during_the_goodbye_is_not_replaced() -> None:
    scene = Scene()
    scene.greets()
    scene.says("Auf Wiederhören.", 1_000, response="r", ends=False)
    scene.tell(ToolAsked(response_id="r", tool_call_id="end", name="end_call", arguments="{}"), EngineGone())
    scene.run(2_000)
    assert len(scene.wanted(Reconnect)) == 1
    assert scene.wanted(HangUp) == [HangUp("agent_hung_up")]
