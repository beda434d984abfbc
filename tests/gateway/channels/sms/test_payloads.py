"""Every documented shape of Twilio's forms about SMS becomes our events; nothing that Twilio sends raises."""

import base64
from dataclasses import asdict, replace
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.base import ChannelEvent, DeliveryReport, DeliveryStatus, Inbound, Notice
from gateway.channels.sms.payloads import ENCODED_MIN, decoded, parse_message, parse_status
from gateway.safe_text import safe_json
from tests.gateway.channels.twilio_seen import examples_in, form_of, our_id_of, seen_all

EXAMPLES = examples_in(Path(__file__).parent / "payloads")
MESSAGES = [name for name, example in EXAMPLES.items() if "mid" not in example]
STATUSES = [name for name, example in EXAMPLES.items() if "mid" in example]
OUR_ID = UUID(int=1)


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


def changed(name: str, **fields: str) -> list[tuple[str, str]]:
    return [(field, value) for field, value in form_of(EXAMPLES[name]) if field not in fields] + list(fields.items())


def message(**fields: str) -> Inbound:
    [event] = parse_message(changed("text", **fields))[0]
    assert isinstance(event.event, Inbound)
    return event.event


def report(**fields: str) -> DeliveryReport:
    [event] = parse_status(changed("status_sent", **fields), OUR_ID)[0]
    assert isinstance(event.event, DeliveryReport)
    return event.event


@pytest.mark.parametrize(("said", "segments"), [("1", 1), ("11", 11), ("0", 1), ("", 1), ("-2", 1), ("٣", 1)])
def test_a_received_message_is_at_least_one_segment(said: str, segments: int) -> None:
    assert message(NumSegments=said).segments == segments


@pytest.mark.parametrize(("said", "segments"), [("3", 3), ("0", None), ("", None), ("x", None), ("9" * 5_000, None)])
def test_a_report_says_how_many_segments_are_billed_once_twilio_knows(said: str, segments: int | None) -> None:
    assert report(NumSegments=said).segments == segments


def test_only_the_code_of_an_opt_out_says_that_the_contact_opted_out() -> None:
    assert report(MessageStatus="undelivered", ErrorCode="21610").opted_out
    assert not report(MessageStatus="undelivered", ErrorCode="30004").opted_out
    assert report(MessageStatus="failed", ErrorCode="0").errors == ()


def test_what_left_and_did_not_arrive_is_not_what_never_left() -> None:
    assert report(MessageStatus="failed").status is DeliveryStatus.FAILED
    assert report(MessageStatus="undelivered").status is DeliveryStatus.UNDELIVERED


def test_at_most_ten_media_are_read_in_their_order() -> None:
    urls = {f"MediaUrl{index}": f"https://api.twilio.com/{index}" for index in reversed(range(12))}
    read = message(NumMedia="12", **urls).media
    assert [reference.url for reference in read] == [f"https://api.twilio.com/{index}" for index in range(10)]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "body",
    [
        encoded("zu kurz, um lang zu sein"),
        encoded("einwortohneblanks" * 6),
        encoded("nicht alles \x00 davon ist Text, der so geschrieben wurde, wie er ist"),
        base64.b64encode(bytes(range(128, 192))).decode(),
        encoded("Ein langer Satz mit vielen Wörtern, der am Ende nicht ganz angekommen ist.")[:-1],
        "Donaudampfschifffahrtsgesellschaftskapitaenswitwenrentenantrag00",
        "https://example.com/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "Ein ganz gewöhnlicher Satz, der länger ist als sechzig Zeichen, und Leerzeichen hat.",
    ],
)
def test_a_text_that_may_be_meant_as_it_stands_is_left_as_it_stands(body: str) -> None:
    assert decoded(body) == body


@given(st.text(min_size=ENCODED_MIN, max_size=200).filter(lambda text: "=" not in text))
def test_what_people_write_is_never_decoded(text: str) -> None:
    assert decoded(text) == text


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["MessageSid", "From", "To", "Body", "NumSegments", "MediaUrl0", "OptOutType", "ErrorCode"])
            | st.from_regex("Media(Url|ContentType)[0-9]{1,4}", fullmatch=True)
            | st.text(max_size=10),
            st.sampled_from(["+4915100000001", "SM1", "1", "image/jpeg", "STOP", "21610"]) | st.text(max_size=90),
        ),
        max_size=12,
    )
)
def test_any_form_is_read_without_an_error_and_can_be_stored(form: list[tuple[str, str]]) -> None:
    for events, malformed in (parse_message(form), parse_status(form, OUR_ID)):
        assert len(events) + len(malformed) == 1
        for event in events:
            orjson.dumps(safe_json(asdict(event)))


@given(st.sampled_from(MESSAGES), st.dictionaries(st.text(min_size=8, max_size=20), st.text(max_size=20), max_size=3))
def test_fields_that_twilio_adds_change_nothing_but_what_is_kept(name: str, more: dict[str, str]) -> None:
    without = [event.event for event in parse_message(form_of(EXAMPLES[name]))[0]]
    with_more = [event.event for event in parse_message([*form_of(EXAMPLES[name]), *more.items()])[0]]
    assert list(map(unstored, with_more)) == list(map(unstored, without))


def unstored(event: ChannelEvent) -> ChannelEvent:
    return replace(event, content={}) if isinstance(event, Inbound | Notice) else event
