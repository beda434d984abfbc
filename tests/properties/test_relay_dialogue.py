"""Whatever is told to a call by text and in whatever order: it never spins, never says twice, and ends at most once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.voice.call_meter import Continued, CutOff, WrapUp
from gateway.voice.engines import conversation_relay_wire as wire
from gateway.voice.relay.signals import Answered, Draft, NotAnswered, RelayTold, Say, Wrote
from gateway.voice.relay.speech import Heard
from gateway.voice.talk.signals import EndAsked, Forward, HangUp, Move, MoveAsked, NotForwarded, NotMoved
from tests.gateway.voice.test_relay_dialogue import PRICE, Telephone, agent

SIGNS: st.SearchStrategy[RelayTold] = st.one_of(
    st.builds(
        wire.Prompted,
        text=st.sampled_from(["", "Was kostet das?", "Ja"]),
        language=st.just("de"),
        is_final=st.booleans(),
    ),
    st.builds(wire.Pressed, digit=st.sampled_from("1#")),
    st.builds(
        wire.Interrupted,
        heard=st.sampled_from(["", "Guten Tag", PRICE, "1942"]),
        after_ms=st.none() | st.integers(0, 9_000),
    ),
    st.builds(wire.Played, text=st.sampled_from(["Guten Tag", PRICE, "nie gesagt"])),
    st.builds(wire.Speaking, who=st.sampled_from(["agent", "caller"]), begun=st.booleans()),
    st.sampled_from([WrapUp(9_000), Continued(), MoveAsked(), EndAsked("owner"), wire.Ignored(type="x")]),
)
# A draft's outcome, which counts only if that draft still does; an end of credits; or nothing but time.
STEPS = st.lists(
    st.tuples(
        SIGNS | st.sampled_from(["answer", "end", "transfer", "fail", "write", "cut_off", "wait"]),
        st.integers(0, 4_000),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans(), st.booleans())
def test_a_call_by_text_stays_in_order(steps: list[tuple[RelayTold | str, int]], asks: bool, forwards: bool) -> None:
    voice = {"transfer_to": "+49301234567"} if forwards else {}
    call = Telephone(agent(recording="ask" if asks else "none", **voice), asks_recording=asks)
    for step, passed_ms in steps:
        call.wait(passed_ms)  # asserts that it does not spin
        _do(call, step)
        if isinstance(call.outcomes[-1:] and call.outcomes[-1], Forward):
            call.tell(NotForwarded())
        elif isinstance(call.outcomes[-1:] and call.outcomes[-1], Move):
            call.tell(NotMoved())
    call.wait(3_600_000)
    hung_up = [outcome for outcome in call.outcomes if isinstance(outcome, HangUp)]
    assert len(hung_up) <= 1
    said = ["".join(effect.pieces) for effect in call.effects if isinstance(effect, Say)]
    over = [effect for effect in call.effects if isinstance(effect, Heard)]
    assert [one.text for one in over] == said[: len(over)]  # each once, in order
    assert len({effect.draft for effect in call.effects if isinstance(effect, Draft)}) == sum(
        isinstance(effect, Draft) for effect in call.effects
    )


def _do(call: Telephone, step: RelayTold | str) -> None:
    if not isinstance(step, str):
        call.tell(step)
        return
    drafts = [effect.draft for effect in call.effects if isinstance(effect, Draft)]
    if step == "cut_off":
        call.tell(CutOff(call.now_ms + 10_000))
    elif drafts and step in ("answer", "end", "transfer"):
        ending = {"answer": None, "end": "end_call", "transfer": "transfer_call"}[step]
        call.tell(Answered(draft=drafts[-1], text=PRICE, ending=ending))  # type: ignore[arg-type]  # one of these
    elif drafts and step == "fail":
        call.tell(NotAnswered(draft=drafts[-1]))
    elif drafts and step == "write":
        call.tell(Wrote(draft=drafts[-1]))
