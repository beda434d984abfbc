from hypothesis import given
from hypothesis import strategies as st

from gateway.voice.marks import Marks


def test_a_mark_that_comes_back_tells_the_position_that_it_was_placed_at() -> None:
    marks = Marks()
    name = marks.place(1, 200, 1_200)
    assert name == "g0.1.200"
    assert marks.first_position == 1_200
    assert marks.acknowledge(name) == 1_200
    assert len(marks) == 0
    assert marks.first_position is None


def test_an_echo_from_before_an_interruption_is_stale_even_if_the_same_place_is_marked_again() -> None:
    marks = Marks()
    old = marks.place(1, 200, 200)
    marks.begin_generation()
    new = marks.place(1, 200, 200)
    assert old != new
    assert marks.acknowledge(old) is None
    assert marks.acknowledge(new) == 200
    assert (marks.stale, marks.missing) == (1, 0)


def test_an_echo_counts_once() -> None:
    marks = Marks()
    name = marks.place(1, 20, 20)
    assert marks.acknowledge(name) == 20
    assert marks.acknowledge(name) is None
    assert marks.stale == 1


def test_a_name_that_was_never_given_is_stale() -> None:
    marks = Marks()
    assert marks.acknowledge("g0.1.20") is None
    assert marks.acknowledge("") is None
    assert marks.stale == 2


def test_marks_that_a_later_one_overtakes_are_missing_and_no_longer_waited_for() -> None:
    marks = Marks()
    names = [marks.place(1, ms, ms) for ms in (20, 200, 400, 600)]
    assert marks.acknowledge(names[2]) == 400
    assert marks.missing == 2
    assert marks.first_position == 600
    assert marks.acknowledge(names[0]) is None


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30), st.data())
def test_positions_told_only_grow_whatever_comes_back(steps: list[int], data: st.DataObject) -> None:
    marks, position, names = Marks(), 0, []
    for step in steps:
        position += step
        names.append(marks.place(1, position, position))
    told = [marks.acknowledge(name) for name in data.draw(st.permutations([*names, *names]))]
    counted = [at for at in told if at is not None]
    assert counted == sorted(set(counted))
    assert counted[-1] == position
    assert len(counted) + marks.missing == len(names)
    assert marks.stale == 2 * len(names) - len(counted)
