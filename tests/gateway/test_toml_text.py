import tomllib
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.toml_text import toml_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SCALARS = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.floats(allow_nan=False),
    st.dates(min_value=date(1000, 1, 1)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=20,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_any_document_reads_back_as_it_was(document: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(document)) == document


@given(st.text(st.sampled_from('"\\\n\r\t a'), max_size=12))
def test_quotes_backslashes_and_line_breaks_survive_in_any_order(text: str) -> None:
    assert tomllib.loads(toml_text({"text": text, "list": [text], "tables": [{"text": text}]})) == {
        "text": text,
        "list": [text],
        "tables": [{"text": text}],
    }


def test_a_text_of_several_lines_stays_readable_and_tables_get_headings() -> None:
    document = {"agent": [{"name": "Rezeption", "facts": "Adresse: Ü 1\nParken", "hours": {"monday": ["09:00-13:00"]}}]}
    assert toml_text(document) == (
        '[[agent]]\nname = "Rezeption"\nfacts = """\nAdresse: Ü 1\nParken"""\n\n'
        '[agent.hours]\nmonday = ["09:00-13:00"]\n'
    )


def test_times_survive_and_what_toml_cannot_say_is_refused() -> None:
    moment = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    assert tomllib.loads(toml_text({"at": moment})) == {"at": moment}
    with pytest.raises(TypeError, match="NoneType"):
        toml_text({"nothing": None})
