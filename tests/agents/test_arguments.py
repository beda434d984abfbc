"""A tool's arguments as models write them, well and badly."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.arguments import ARGUMENTS_CHARACTERS_MAX, parse_arguments
from agents.errors import ToolFailedError
from agents.safe_text import DEPTH_MAX


def test_an_object_is_read() -> None:
    assert parse_arguments('{"service": "Haarschnitt", "n": [1, 2.5, null, true, {"a": "b"}]}') == {
        "service": "Haarschnitt",
        "n": [1, 2.5, None, True, {"a": "b"}],
    }


@pytest.mark.parametrize("text", ["", "  \n", "{}", "null", " null "])
def test_nothing_means_no_arguments(text: str) -> None:
    assert parse_arguments(text) == {}


@pytest.mark.parametrize(
    "text",
    ['{"a": ', "{'a': 1}", "book it", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', '{"a": 9223372036854775808}'],
)
def test_what_is_not_json_or_cannot_be_stored_is_told_to_the_model(text: str) -> None:
    with pytest.raises(ToolFailedError, match="not valid JSON"):
        parse_arguments(text)


@pytest.mark.parametrize("text", ["[]", "5", '"text"', "true"])
def test_what_is_no_object_is_told_to_the_model(text: str) -> None:
    with pytest.raises(ToolFailedError, match="must be a JSON object"):
        parse_arguments(text)


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_number_of_many_digits_is_no_number(digits: int) -> None:
    with pytest.raises(ToolFailedError):
        parse_arguments('{"a": ' + "9" * digits + "}")


def test_the_length_has_a_limit() -> None:
    padding = ARGUMENTS_CHARACTERS_MAX - len('{"a": ""}')
    assert parse_arguments('{"a": "' + "x" * padding + '"}') == {"a": "x" * padding}
    with pytest.raises(ToolFailedError, match="too long"):
        parse_arguments('{"a": "' + "x" * (padding + 1) + '"}')


def test_the_depth_has_a_limit() -> None:
    deepest = DEPTH_MAX - 2  # the object and what is inside
    assert parse_arguments('{"a": ' + "[" * deepest + "1" + "]" * deepest + "}")
    for depth in (deepest + 1, 4000):
        with pytest.raises(ToolFailedError, match="not valid JSON"):
            parse_arguments('{"a": ' + "[" * depth + "1" + "]" * depth + "}")


def test_nul_and_lone_surrogates_become_replacement_characters_in_names_and_values() -> None:
    assert parse_arguments('{"a\\u0000": ["x\\ud800y", {"b": "\\udfff"}], "smile": "\\ud83d\\ude00"}') == {
        "a\ufffd": ["x\ufffdy", {"b": "\ufffd"}],
        "smile": "😀",
    }


@given(st.text(max_size=200))
def test_any_text_is_either_an_object_or_a_sentence_for_the_model(text: str) -> None:
    with contextlib.suppress(ToolFailedError):
        assert isinstance(parse_arguments(text), dict)
