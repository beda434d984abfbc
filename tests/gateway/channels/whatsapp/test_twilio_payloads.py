"""Every documented shape of Twilio's forms about WhatsApp becomes our events; nothing that Twilio sends raises."""

from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.base import DeliveryReport, Inbound
from gateway.channels.whatsapp.twilio_payloads import parse_message, parse_status
from gateway.safe_text import safe_json
from tests.gateway.channels.twilio_seen import examples_in, form_of, our_id_of, seen_all

EXAMPLES = examples_in(Path(__file__).parent / "twilio_payloads")
MESSAGES = [name for name, example in EXAMPLES.items() if "mid" not in example]
STATUSES = [name for name, example in EXAMPLES.items() if "mid" in example]
OUR_ID = UUID(int=1)
NAMES = [
    "MessageSid",
    "From",
    "To",
    "Body",
    "MessageType",
    "WaId",
    "ExternalUserId",
    "ProfileName",
    "ButtonText",
    "ListId",
    "Latitude",
    "Longitude",
    "Label",
    "OriginalRepliedMessageSid",
    "InteractiveData",
    "MediaUrl0",
    "MediaContentType0",
    "ErrorCode",
    "MessageStatus",
    "NumSegments",
]
VALUES = [
    "whatsapp:+4915100000001",
    "whatsapp:DE.1349",
    "SM1",
    "1",
    "image/jpeg",
    "audio/ogg",
    "text",
    "reaction",
    "contacts",
    "order",
    "sticker",
    "63016",
]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_becomes_what_its_file_says(name: str) -> None:
    example = EXAMPLES[name]
    becomes = orjson.loads(orjson.dumps(seen_all(parse_message(form_of(example)))))
    assert becomes == {"events": example["events"], "malformed": example["malformed"]}


@pytest.mark.parametrize("name", STATUSES)
def test_a_status_becomes_what_its_file_says(name: str) -> None:
    example = EXAMPLES[name]
    becomes = orjson.loads(orjson.dumps(seen_all(parse_status(form_of(example), our_id_of(example)))))
    assert becomes == {"events": example["events"], "malformed": example["malformed"]}


def test_no_message_has_a_time_or_costs_by_segment() -> None:
    for name in MESSAGES:
        for event in parse_message(form_of(EXAMPLES[name]))[0]:
            if isinstance(event.event, Inbound):
                assert (event.event.provider_at, event.event.segments, event.event.opt_out) == (None, 0, None)


def test_only_the_code_of_a_closed_window_closes_it() -> None:
    form = form_of(EXAMPLES["status_undelivered"])
    [event] = parse_status([("ErrorCode", "63016"), *form], OUR_ID)[0]
    assert isinstance(event.event, DeliveryReport)
    assert event.event.window_closed
    [event] = parse_status(form, OUR_ID)[0]
    assert isinstance(event.event, DeliveryReport)
    assert not event.event.window_closed


@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES) | st.text(max_size=10), st.sampled_from(VALUES) | st.text(max_size=200)),
        max_size=14,
    )
)
def test_any_form_is_read_without_an_error_and_can_be_stored(form: list[tuple[str, str]]) -> None:
    for events, malformed in (parse_message(form), parse_status(form, OUR_ID)):
        assert len(events) + len(malformed) == 1
        for event in events:
            orjson.dumps(safe_json(asdict(event)))


@given(st.sampled_from(MESSAGES), st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=20))
def test_a_message_with_one_field_changed_is_still_one_event_or_none(name: str, field: str, value: str) -> None:
    form = [(field, value), *((other, kept) for other, kept in form_of(EXAMPLES[name]) if other != field)]
    events, malformed = parse_message(form)
    assert len(events) + len(malformed) == 1
