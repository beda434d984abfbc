"""Whatever a customer types can be stored, and what can be stored is left as it was typed."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.db import Database
from gateway.safe_text import safe_json, safe_text
from tests.cast import Cast

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=30) | st.text(
    st.sampled_from("a\x00\ud800\udfff\ufffd\x7f\u200b😀"), max_size=10
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=12,
)


@given(ANY_TEXT)
def test_what_can_be_stored_stays_and_nothing_gets_longer(text: str) -> None:
    safe = safe_text(text)
    assert len(safe) == len(text)
    assert safe.encode().decode() == safe
    assert all(
        now == before or (now == "\ufffd" and (before == "\x00" or "\ud800" <= before <= "\udfff"))
        for now, before in zip(safe, text, strict=True)
    )
    assert "\x00" not in safe


@given(st.text())
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert safe_text(text) == text.replace("\x00", "\ufffd")


def test_emoji_and_scripts_are_left_alone() -> None:
    text = "Grüße 👩‍👩‍👧 مرحبا שלום 你好 \u200f\ufeff\t\r\n"
    assert safe_text(text) == text


@given(st.dictionaries(ANY_TEXT, ANY_JSON, max_size=4))
def test_a_safe_object_keeps_its_shape_and_is_safe_throughout(value: dict[str, Any]) -> None:
    written = json.dumps(safe_json(value), ensure_ascii=False)
    assert written.encode()
    assert "\\u0000" not in written
    assert safe_json(safe_json(value)) == safe_json(value)


def test_what_is_not_text_is_kept() -> None:
    value = {"number": 1, "part": 1.5, "yes": True, "nothing": None, "list": [1, ("a", {"b": "c"})]}
    assert safe_json(value) == {"number": 1, "part": 1.5, "yes": True, "nothing": None, "list": [1, ["a", {"b": "c"}]]}


async def test_postgresql_keeps_it_as_it_is(db: Database, cast: Cast) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ANY_TEXT, st.dictionaries(ANY_TEXT, ANY_JSON, max_size=3))
    def collect(text: str, content: dict[str, Any]) -> None:
        examples.append((safe_text(text), safe_json(content)))

    examples: list[tuple[str, dict[str, Any]]] = []
    collect()
    async with db.transaction(cast.acme) as connection:
        for text, content in examples:
            kept = await connection.fetchrow("SELECT $1::text AS text, $2::jsonb AS content", text, content)
            assert kept is not None
            assert (kept["text"], kept["content"]) == (text, content)
