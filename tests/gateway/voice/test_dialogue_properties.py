"""Whatever happens in whatever order, some things never do."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.voice.call_meter import Continued, CutOff, WrapUp
from gateway.voice.dialogue import Told
from gateway.voice.engines.base import (
    AudioDelta,
    AudioDone,
    HeardText,
    ResponseEnded,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    SpokenText,
    ToolAsked,
    Trouble,
)
from gateway.voice.media_stream import Digit, Echoed
from gateway.voice.talk.signals import (
    CallerGone,
    EndAsked,
    EngineGone,
    EngineReady,
    Forward,
    HangUp,
    Move,
    MoveAsked,
    NotForwarded,
    NotMoved,
    RunTool,
    ToolDone,
    Truncate,
)
from tests.gateway.voice.scene import Scene

NAMES = st.sampled_from(["a", "b", "c", "d"])
EVENTS: st.SearchStrategy[Told] = st.one_of(
    st.builds(
        AudioDelta,
        response_id=NAMES,
        item_id=NAMES,
        content_index=st.integers(0, 1),
        audio=st.integers(1, 12_000).map(bytes),
    ),
    st.builds(AudioDone, item_id=NAMES, content_index=st.integers(0, 1)),
    st.builds(SpokenText, item_id=NAMES, text=st.sampled_from(["Ja.", "KI", ""]), is_final=st.booleans()),
    st.builds(ResponseStarted, response_id=NAMES),
    st.builds(
        ResponseEnded, response_id=NAMES, status=st.sampled_from(["completed", "cancelled", "incomplete", "failed"])
    ),
    st.builds(
        ToolAsked,
        response_id=NAMES,
        tool_call_id=NAMES,
        name=st.sampled_from(["book", "end_call", "transfer_call"]),
        arguments=st.just("{}"),
    ),
    st.builds(ToolDone, NAMES, st.just("done")),
    st.just(SpeechStarted()),
    st.just(SpeechStopped()),
    st.builds(HeardText, item_id=NAMES, text=st.sampled_from(["ja", ""])),
    st.builds(Digit, st.sampled_from("12#")),
    st.builds(Echoed, st.sampled_from(["g0.1.200", "g1.2.20", "x"])),
    st.builds(EngineReady, st.one_of(st.none(), st.integers(0, 30_000))),
    st.builds(EngineGone, st.booleans()),
    st.builds(Trouble, code=NAMES, severity=st.sampled_from(["harmless", "error", "fatal"])),
    st.builds(WrapUp, st.just(8_000)),
    st.just(Continued()),
    st.builds(CutOff, st.just(0)),
    st.just(MoveAsked()),
    st.builds(EndAsked, st.just("operator")),
    st.just(NotForwarded()),
    st.just(NotMoved()),
    st.just(CallerGone("caller_hung_up")),
)
STEPS = st.lists(st.one_of(EVENTS, EVENTS, st.sampled_from([20, 400, 3_000, 12_000])), max_size=40)
SCENES = st.fixed_dictionaries(
    {
        "may_forward": st.booleans(),
        "forwards_when_credits_end": st.booleans(),
        "interrupts_itself": st.booleans(),
        "interruptible_greeting": st.booleans(),
        "min_interrupt_ms": st.sampled_from([0, 250]),
        "asks_recording": st.booleans(),
        "idle_prompt_ms": st.just(3_000),
        "ends_at_ms": st.sampled_from([40_000, 1_800_000]),
    }
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, manner=SCENES, notices=st.booleans())
def test_nothing_is_wanted_after_the_end_and_no_truncation_beyond_the_audio(
    steps: list[Told | int], manner: dict[str, bool | int], *, notices: bool
) -> None:
    scene = Scene(**manner) if notices else Scene(notices={}, **manner)  # type: ignore[arg-type]
    received_ms: dict[tuple[str, int], int] = {}
    ended = away = False
    seen = 0
    for step in steps:
        if isinstance(step, int):
            scene.run(step)
        else:
            if isinstance(step, AudioDelta):
                key = (step.item_id, step.content_index)
                received_ms[key] = received_ms.get(key, 0) + len(step.audio)
            away = away and not isinstance(step, NotForwarded | NotMoved)
            scene.tell(step)
        for _, effect in scene.effects[seen:]:
            assert not ended
            assert not away
            ended = isinstance(effect, HangUp)
            away = isinstance(effect, Forward | Move)
            if isinstance(effect, Truncate):
                assert effect.heard_ms * 8 <= received_ms[effect.item_id, effect.content_index]
        seen = len(scene.effects)
        ended = ended or isinstance(step, CallerGone)
    tools = [effect.asked.tool_call_id for effect in scene.wanted(RunTool)]
    assert len(tools) == len(set(tools))


@settings(max_examples=50, deadline=None)
@given(steps=STEPS, manner=SCENES)
def test_a_call_that_is_to_end_ends(steps: list[Told | int], manner: dict[str, bool | int]) -> None:
    scene = Scene(**manner)  # type: ignore[arg-type]
    for step in steps:
        if isinstance(step, int):
            scene.run(step)
        else:
            scene.tell(step)
    scene.tell(EndAsked("operator"))
    scene.run(20_000)
    assert scene.dialogue.state in ("over", "forwarding", "moved")
