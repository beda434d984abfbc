from gateway.voice.engines.base import PastItem, ToolAsked
from gateway.voice.talk.history import ENTRIES_KEPT, History
from gateway.voice.talk.signals import NoteAgent, NoteCaller


def agent(history: History, item: str, text: str) -> None:
    history.agent_began(item)
    history.agent_said(item, text, is_final=True)
    history.agent_heard(item, heard_ms=100, received_ms=100, interrupted=False)


def test_the_callers_words_stand_where_they_began_to_speak() -> None:
    history = History()
    history.caller_began(1_000)
    agent(history, "a", "Gern.")
    assert history.caller_said("Einen Termin, bitte.", 3_500) == [NoteCaller("Einen Termin, bitte.", ago_ms=2_500)]
    assert [item.text for item in history.past] == ["Einen Termin, bitte.", "Gern."]


def test_a_cough_leaves_no_trace() -> None:
    history = History()
    history.caller_began(1_000)
    assert history.caller_said("  ", 1_200) == []
    assert history.past == ()


def test_words_that_went_with_their_session_leave_no_place_for_later_ones() -> None:
    history = History()
    history.caller_began(1_000)
    agent(history, "a", "Wie bitte?")
    history.forget_session()
    history.caller_began(5_000)
    assert history.caller_said("Einen Termin.", 6_000) == [NoteCaller("Einen Termin.", ago_ms=1_000)]
    assert [item.text for item in history.past] == ["Wie bitte?", "Einen Termin."]


def test_words_in_pieces_are_put_together_and_the_whole_text_replaces_them() -> None:
    history = History()
    history.agent_began("a")
    history.agent_said("a", "Guten ", is_final=False)
    history.agent_said("a", "Tga", is_final=False)
    history.agent_said("a", "Guten Tag", is_final=True)
    assert [item.text for item in history.past] == ["Guten Tag"]


def test_an_interrupted_item_counts_as_said_only_as_far_as_it_was_heard() -> None:
    history = History()
    history.agent_began("a")
    history.agent_said("a", "Eins zwei drei vier", is_final=True)
    [note] = history.agent_heard("a", heard_ms=500, received_ms=1_000, interrupted=True)
    assert note == NoteAgent("Eins zwei drei vier", "Eins zwei …", 500, interrupted=True)
    history.agent_said("a", " fünf", is_final=False)
    assert [item.text for item in history.past] == ["Eins zwei …"]


def test_an_item_of_which_nothing_was_heard_is_not_in_the_past() -> None:
    history = History()
    history.agent_began("a")
    history.agent_said("a", "Eins zwei", is_final=True)
    [note] = history.agent_heard("a", heard_ms=0, received_ms=1_000, interrupted=True)
    assert note.text_heard == ""
    assert history.past == ()


def test_a_tool_and_what_it_brought_are_one_item_of_the_past() -> None:
    history = History([PastItem(kind="customer", text="Wann haben Sie offen?")])
    asked = ToolAsked(response_id="r", tool_call_id="t", name="opening_hours", arguments="{}")
    history.tool_done(asked, "9 to 18")
    assert history.past[1:] == (
        PastItem(kind="tool", text="9 to 18", tool_name="opening_hours", tool_arguments="{}", tool_call_id="t"),
    )
    assert history.caller_waits
    assert History(history.past).past == history.past


def test_only_the_newest_are_kept() -> None:
    history = History()
    for number in range(ENTRIES_KEPT + 5):
        agent(history, str(number), f"Satz {number}")
    assert len(history.past) == ENTRIES_KEPT
    assert history.past[-1].text == f"Satz {ENTRIES_KEPT + 4}"
