"""Every documented shape of a webhook becomes our events; nothing that Meta sends raises."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.base import DeliveryReport, Inbound, LineAddress, Notice
from gateway.channels.whatsapp.payloads import parse
from gateway.safe_text import safe_json
from tests.gateway.channels.whatsapp.seen import seen, seen_malformed

FILES = sorted((Path(__file__).parent / "payloads").glob("*.json"))
EXAMPLES = {file.stem: json.loads(file.read_text()) for file in FILES}

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["1795600800", "491700000101"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def payload_of(name: str) -> dict[str, object]:
    payload: dict[str, object] = EXAMPLES[name]["payload"]
    return payload


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_payload_becomes_what_its_file_says(name: str) -> None:
    events, malformed = parse(json.dumps(payload_of(name)).encode())
    assert [seen(event) for event in events] == EXAMPLES[name]["events"]
    assert [seen_malformed(part) for part in malformed] == EXAMPLES[name]["malformed"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_meta_writes_what_is_not_ascii_as_escapes_or_as_it_is(name: str) -> None:
    escaped = parse(json.dumps(payload_of(name), ensure_ascii=True).encode())
    assert parse(json.dumps(payload_of(name), ensure_ascii=False).encode()) == escaped


def test_a_batch_is_read_to_its_end() -> None:
    events, _ = parse(json.dumps(payload_of("batch_of_three_entries")).encode())
    lines = Counter(event.line.value for event in events)
    assert lines == {"1000001": 2, "1000002": 2, "1000003": 2}
    assert [event.event.text for event in events if isinstance(event.event, Inbound)] == [
        f"Nachricht {k} an {n}" for n in (1, 2, 3) for k in (1, 2)
    ]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'"text"', b"{}", b'{"entry": {}}', b"\xff\xfe\x00", b"[" * 99_999]
)
def test_what_is_no_webhook_is_one_malformed_part(body: bytes) -> None:
    events, malformed = parse(body)
    assert events == []
    assert [part.fragment for part in malformed] == [body]


def test_nesting_without_end_is_put_aside_whole() -> None:
    body = json.dumps(payload_of("type_of_tomorrow")).encode()
    deep = body.replace(b'"Wann?"', b'{"a":' * 300 + b"1" + b"}" * 300)
    assert parse(deep)[0] == []
    assert [part.reason for part in parse(deep)[1]] == ["nested too deep"]


def test_nul_and_lone_surrogates_come_through() -> None:
    body = json.dumps(payload_of("text")).encode().replace(b"Hallo", rb"a\u0000b\ud83dc")
    [event] = parse(body)[0]
    assert isinstance(event.event, Inbound)
    assert event.event.text.startswith("a\x00b\ud83dc, haben Sie")


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    body = json.dumps(payload_of("text")).encode().replace(b"Hallo", b"\xe4h")
    [event] = parse(body)[0]
    assert isinstance(event.event, Inbound)
    assert event.event.text.startswith("\ufffdh, haben Sie")


@pytest.mark.parametrize("name", ["491510000\u0000", "über", "", " ", "a b"])
def test_a_line_name_that_cannot_be_one_is_malformed(name: str) -> None:
    payload = payload_of("status_read")
    value = {"metadata": {"phone_number_id": name}, "statuses": [{"id": "wamid.1", "status": "read"}]}
    events, malformed = parse(json.dumps({**payload, "entry": [{"changes": [{"value": value}]}]}).encode())
    assert (events, len(malformed)) == ([], 1)


@pytest.mark.parametrize("shown", ["+49 1510 0000001", "4915100000001", "+49-1510-0000001"])
def test_a_value_that_names_only_the_number_finds_its_line(shown: str) -> None:
    value = {"display_phone_number": shown, "event": "FLAGGED"}
    [event], _ = parse(json.dumps({"entry": [{"changes": [{"field": "x", "value": value}]}]}).encode())
    assert event.line == LineAddress(kind="number", value="+4915100000001")


@pytest.mark.parametrize("code", [131047, "131047", 470], ids=repr)
def test_a_closed_window_is_seen_however_its_code_is_written(code: object) -> None:
    value = {
        "metadata": {"phone_number_id": "1"},
        "statuses": [{"id": "w", "status": "failed", "errors": [{"code": code}]}],
    }
    [event], _ = parse(json.dumps({"entry": [{"changes": [{"value": value}]}]}).encode())
    assert isinstance(event.event, DeliveryReport)
    assert event.event.window_closed


@given(junk)
def test_any_json_is_read_without_an_error(value: object) -> None:
    parse(json.dumps(value).encode())


@given(st.binary())
def test_any_bytes_are_read_without_an_error(body: bytes) -> None:
    parse(body)


@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_a_payload_with_junk_anywhere_in_it_still_becomes_something_storable(name: str, data: st.DataObject) -> None:
    payload = json.loads(json.dumps(payload_of(name)))
    places = list(_places(payload))
    put = data.draw(st.sampled_from(places))
    put(data.draw(junk))
    events, malformed = parse(json.dumps(payload).encode())
    for event in events:
        orjson.dumps(safe_json(asdict(event)))
    for part in malformed:
        json.loads(part.fragment)


@given(st.lists(st.sampled_from(["text", "voice_note", "reaction", "status_read", "one_bad_item"]), max_size=5))
def test_entries_do_not_influence_each_other(names: list[str]) -> None:
    entries = [entry for name in names for entry in payload_of(name)["entry"]]  # type: ignore[attr-defined] # a list
    events, malformed = parse(json.dumps({"object": "whatsapp_business_account", "entry": entries}).encode())
    assert [seen(event) for event in events] == [event for name in names for event in EXAMPLES[name]["events"]]
    assert len(malformed) == sum(len(EXAMPLES[name]["malformed"]) for name in names)


def test_an_empty_value_is_a_notice() -> None:
    [event], _ = parse(b'{"entry":[{"changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"1"}}}]}]}')
    assert event.event == Notice(name="messages", content={})


def _places(part: Any) -> Iterator[Callable[[object], None]]:  # noqa: ANN401 - JSON
    """Yield a function for each place in a payload that puts something else there."""
    keys = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
    for key in keys:
        yield partial(part.__setitem__, key)
        yield from _places(part[key])
