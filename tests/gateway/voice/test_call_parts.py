from gateway.voice.credit.parts import figures_after, usage_after


def test_figures_of_an_earlier_stream_stand_beneath_the_later_ones() -> None:
    first, second, third = {"answers": 3, "answer_ms_p50": 500}, {"answers": 1, "answer_ms_p50": 900}, {"answers": 0}
    assert figures_after(first, second) == {**second, "before": first}
    assert figures_after(figures_after(first, second), third) == {**third, "before": {**second, "before": first}}


def test_where_one_side_has_none_the_others_figures_stand_alone() -> None:
    assert figures_after({"answers": 3}, {}) == {"answers": 3}
    assert figures_after({}, {"answers": 3}) == {"answers": 3}
    assert figures_after({}, {}) == {}


def test_what_engines_counted_is_added_up_by_name() -> None:
    first = {"answer": {"count": 2, "input_tokens": 100, "details": {"cached": 40}}, "model": "one"}
    second = {"answer": {"count": 1, "input_tokens": 50, "details": {"cached": 10}}, "transcript": {"count": 4}}
    assert usage_after(first, second) == {
        "answer": {"count": 3, "input_tokens": 150, "details": {"cached": 50}},
        "transcript": {"count": 4},
        "model": "one",
    }


def test_what_is_no_number_is_the_later() -> None:
    assert usage_after({"a": True, "b": 1, "c": "one"}, {"a": 1, "b": {"d": 2}, "c": "two"}) == {
        "a": 1,
        "b": {"d": 2},
        "c": "two",
    }
