"""Twilio's webhooks over HTTP: what is refused before anything is read, and what Twilio is to send again."""

import base64
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs
from yarl import URL

from gateway.channels.base import DeliveryReport, Inbound, LineEvent, Malformed
from gateway.channels.twilio_routes import FIELDS_MAX, MESSAGES_PATH, STATUS_PATH, routes
from gateway.twilio.signature import HEADER, SETTINGS_HEADER

PUBLIC = "https://gateway.example.com/prefix"
ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "an auth token"
BODY_MAX = 10_000
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
SMS = [
    ("MessageSid", "SM1"),
    ("AccountSid", ACCOUNT),
    ("From", "+4915200000101"),
    ("To", "+4915100000001"),
    ("Body", " Grüße 😀 & mehr "),
    ("NumSegments", "1"),
    ("FromCity", ""),
]
WHATSAPP = [
    ("MessageSid", "SM2"),
    ("AccountSid", ACCOUNT),
    ("From", "whatsapp:+4915200000101"),
    ("To", "whatsapp:+4915100000001"),
    ("Body", "Hallo"),
    ("MessageType", "text"),
]
STATUS = [
    ("MessageSid", "SM3"),
    ("AccountSid", ACCOUNT),
    ("MessageStatus", "delivered"),
    ("From", "+4915100000001"),
    ("To", "+4915200000101"),
]

Pairs = Sequence[tuple[str, str]]


@dataclass
class Accepted:
    """Remembers what was accepted and counted, or fails as the database would."""

    error: Exception | None = None
    calls: list[tuple[str, Sequence[LineEvent], Sequence[Malformed], bytes]] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)

    async def accept(
        self, provider: str, events: Sequence[LineEvent], malformed: Sequence[Malformed], body: bytes
    ) -> None:
        if self.error is not None:
            raise self.error
        self.calls.append((provider, events, malformed, body))

    def count(self, provider: str, outcome: str) -> None:
        self.counted.append((provider, outcome))

    @property
    def events(self) -> list[LineEvent]:
        return [event for _, events, _, _ in self.calls for event in events]


def client(accepted: Accepted, **changes: Any) -> TestClient[web.Request, web.Application]:  # noqa: ANN401 - arguments
    arguments: dict[str, Any] = {
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "shared_keys": {},
        "public_url": PUBLIC,
        "body_max": BODY_MAX,
    }
    app = web.Application()
    app.add_routes(routes(accept=accepted.accept, count=accepted.count, **{**arguments, **changes}))
    return TestClient(TestServer(app))


def sign(url: str, form: Pairs, *, secret: str = TOKEN, algorithm: str = "sha1") -> str:
    fields = "".join(f"{name}{value}" for name, value in sorted(set(form)))
    return base64.b64encode(hmac.new(secret.encode(), (url + fields).encode(), algorithm).digest()).decode()


async def post(
    http: TestClient[web.Request, web.Application],
    path: str,
    form: Pairs,
    *,
    url: str | None = None,
    headers: Mapping[str, str | None] | None = None,
) -> ClientResponse:
    """Post a form as Twilio does, signed over the public address."""
    given = {**FORM_TYPE, HEADER: sign(url or PUBLIC + path, form), **(headers or {})}
    present = {name: value for name, value in given.items() if value is not None}
    called = URL(str(http.make_url("/")).rstrip("/") + path, encoded=True)  # with its escapes as they are
    return await http.session.post(called, data=urlencode(form).encode(), headers=present)


async def test_an_sms_is_accepted_as_it_came_and_answered_with_nothing_to_say() -> None:
    accepted = Accepted()
    async with client(accepted) as http:
        response = await post(http, MESSAGES_PATH, SMS)
        assert (response.status, response.content_type, await response.text()) == (200, "text/xml", "<Response/>")
    [(provider, [event], malformed, body)] = accepted.calls
    assert (provider, malformed, body) == ("twilio", [], urlencode(SMS).encode())
    assert (event.channel, event.line.value) == ("sms", "+4915100000001")
    assert isinstance(event.event, Inbound)
    assert event.event.text == " Grüße 😀 & mehr "
    assert accepted.counted == [("twilio", "accepted")]


async def test_a_whatsapp_message_comes_to_the_same_address() -> None:
    accepted = Accepted()
    async with client(accepted) as http:
        assert (await post(http, MESSAGES_PATH, WHATSAPP)).status == 200
    [event] = accepted.events
    assert (event.channel, event.line.value) == ("whatsapp", "+4915100000001")


async def test_a_status_brings_our_id_back_in_its_address() -> None:
    accepted = Accepted()
    our_id = UUID(int=7)
    async with client(accepted) as http:
        assert (await post(http, f"{STATUS_PATH}?mid={our_id}", STATUS)).status == 204
        assert (await post(http, f"{STATUS_PATH}?mid=somebody+else%27s", STATUS)).status == 204
        assert (await post(http, STATUS_PATH, [*WHATSAPP, ("MessageStatus", "read")])).status == 204
    reports = [event.event for event in accepted.events if isinstance(event.event, DeliveryReport)]
    assert [report.our_message_id for report in reports] == [our_id, None, None]
    assert [event.channel for event in accepted.events] == ["sms", "sms", "whatsapp"]


async def test_the_id_in_a_status_address_cannot_be_exchanged() -> None:
    accepted = Accepted()
    async with client(accepted) as http:
        signed_for = f"{PUBLIC}{STATUS_PATH}?mid={UUID(int=7)}"
        assert (await post(http, f"{STATUS_PATH}?mid={UUID(int=8)}", STATUS, url=signed_for)).status == 403
    assert accepted.calls == []


@pytest.mark.parametrize("path", [MESSAGES_PATH, STATUS_PATH])
@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "no signature",
        sign(PUBLIC + MESSAGES_PATH, SMS, secret="another"),
        sign("http://127.0.0.1" + MESSAGES_PATH, SMS),
        sign(PUBLIC + MESSAGES_PATH, SMS[:-1]),
        sign(PUBLIC + MESSAGES_PATH, SMS, algorithm="sha256"),
    ],
)
async def test_what_is_not_signed_by_twilio_is_refused_unread(path: str, signature: str | None) -> None:
    accepted = Accepted()
    async with client(accepted) as http:
        response = await post(http, path, [*SMS[:-1], ("FromCity", "Bonn")], headers={HEADER: signature})
        assert response.status == 403
        assert response.content_type == "application/problem+json"
        assert (await response.json(content_type=None))["code"] == "invalid_signature"
    assert accepted.calls == []
    assert accepted.counted == [("twilio", "unsigned")]


async def test_what_a_proxy_says_about_the_address_counts_for_nothing() -> None:
    accepted = Accepted()
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "Host": "evil.example"}
    async with client(accepted) as http:
        signed_for = f"https://evil.example{MESSAGES_PATH}"
        assert (await post(http, MESSAGES_PATH, SMS, url=signed_for, headers=forwarded)).status == 403
        assert (await post(http, MESSAGES_PATH, SMS, headers=forwarded)).status == 200


@pytest.mark.parametrize("account", ["AC00000000000000000000000000000002", "", None])
async def test_a_signed_message_of_another_account_is_refused(account: str | None) -> None:
    accepted = Accepted()
    form = [(name, value) for name, value in SMS if name != "AccountSid"]
    form += [] if account is None else [("AccountSid", account)]
    async with client(accepted) as http:
        assert (await post(http, MESSAGES_PATH, form)).status == 403
    assert accepted.calls == []


@pytest.mark.parametrize(
    ("without", "missing"),
    [({"auth_token": None}, "TWILIO_AUTH_TOKEN"), ({"account_sid": None}, "TWILIO_ACCOUNT_SID")],
)
async def test_without_a_secret_or_an_account_everything_is_refused_and_the_operator_is_told(
    without: Mapping[str, None], missing: str
) -> None:
    accepted = Accepted()
    with capture_logs() as logs:
        http = client(accepted, **without)
    assert {"missing": missing, "event": "twilio_webhooks_refused", "log_level": "error"} in logs
    async with http:
        assert (await post(http, MESSAGES_PATH, SMS)).status == 403
        of_nobody = [(name, value) for name, value in SMS if name != "AccountSid"]
        assert (await post(http, MESSAGES_PATH, of_nobody)).status == 403
    assert accepted.calls == []


async def test_who_does_not_use_twilio_is_told_nothing_and_accepts_nothing() -> None:
    with capture_logs() as logs:
        http = client(Accepted(), auth_token=None, account_sid=None)
    assert logs == []
    async with http:
        assert (await post(http, MESSAGES_PATH, SMS)).status == 403


async def test_with_shared_keys_only_their_signatures_are_taken() -> None:
    accepted = Accepted()
    settings = {SETTINGS_HEADER: "key=webhooks_a,algorithm=HMAC_SHA256"}
    strong = sign(PUBLIC + MESSAGES_PATH, SMS, secret="shared", algorithm="sha256")
    async with client(accepted, shared_keys={"webhooks_a": "shared"}) as http:
        assert (await post(http, MESSAGES_PATH, SMS)).status == 403
        assert (await post(http, MESSAGES_PATH, SMS, headers=settings)).status == 403
        assert (await post(http, MESSAGES_PATH, SMS, headers={HEADER: strong})).status == 403
        assert (await post(http, MESSAGES_PATH, SMS, headers={HEADER: strong, **settings})).status == 200
    assert len(accepted.calls) == 1


async def test_repeated_and_blank_fields_and_escapes_in_the_address_are_verified_as_they_came() -> None:
    accepted = Accepted()
    form = [*SMS, ("MediaUrl0", ""), ("Tag", "b"), ("Tag", "a"), ("Tag", "b")]
    async with client(accepted) as http:
        assert (await post(http, f"{MESSAGES_PATH}?x=%7Eq&y=a%2Fb", form)).status == 200
        assert (await post(http, f"{MESSAGES_PATH}?x=~q&y=a/b", form, url=f"{PUBLIC}{MESSAGES_PATH}?x=1")).status == 403


async def test_a_body_beyond_the_limit_is_refused_whether_announced_or_not() -> None:
    accepted = Accepted()
    form = [*SMS, ("More", "a" * BODY_MAX)]
    body = urlencode(form).encode()
    headers = {**FORM_TYPE, HEADER: sign(PUBLIC + MESSAGES_PATH, form)}

    async def unannounced() -> AsyncIterator[bytes]:
        yield body[:5_000]
        yield body[5_000:]

    async with client(accepted) as http:
        announced = await http.post(MESSAGES_PATH, data=body, headers=headers)
        chunked = await http.post(MESSAGES_PATH, data=unannounced(), headers=headers)
    assert (announced.status, chunked.status) == (413, 413)
    assert accepted.calls == []


async def test_what_is_no_form_of_twilios_is_refused_however_it_is_signed() -> None:
    accepted = Accepted()
    url = PUBLIC + MESSAGES_PATH
    many = [*SMS, *((f"n{index}", "") for index in range(FIELDS_MAX))]
    async with client(accepted, body_max=1_000_000) as http:
        for body, signature, content_type in (
            (b'{"AccountSid": "AC"}', sign(url, []), "application/json"),
            (urlencode(SMS).encode(), sign(url, SMS), "text/plain"),
            (b"Body=\xff", sign(url, [("Body", "\ufffd")]), FORM_TYPE["Content-Type"]),
            (urlencode(many).encode(), sign(url, many), FORM_TYPE["Content-Type"]),
            (b"", sign(url, []), FORM_TYPE["Content-Type"]),
        ):
            headers = {"Content-Type": content_type, HEADER: signature}
            assert (await http.post(MESSAGES_PATH, data=body, headers=headers)).status == 403
    assert accepted.calls == []


async def test_a_signed_form_that_names_no_line_is_stored_aside_and_never_sent_again() -> None:
    accepted = Accepted()
    async with client(accepted) as http:
        form = [("MessageSid", "SM1"), ("AccountSid", ACCOUNT)]
        assert (await post(http, MESSAGES_PATH, form)).status == 200
        assert (await post(http, STATUS_PATH, form)).status == 204
    assert [part.reason for _, _, malformed, _ in accepted.calls for part in malformed] == [
        "sms: names no line",
        "sms status: names no line",
    ]


@pytest.mark.parametrize("path", [MESSAGES_PATH, STATUS_PATH])
@pytest.mark.parametrize(
    "error",
    [ConnectionRefusedError(), TimeoutError(), asyncpg.AdminShutdownError(), asyncpg.InterfaceError("closed")],
    ids=lambda error: type(error).__name__,
)
async def test_what_cannot_be_stored_now_is_asked_for_again(error: Exception, path: str) -> None:
    accepted = Accepted(error=error)
    async with client(accepted) as http:
        response = await post(http, path, SMS)
        assert (response.status, response.headers["Retry-After"]) == (503, "30")
    assert accepted.counted == [("twilio", "not_stored")]


async def test_neither_the_text_nor_the_number_is_logged() -> None:
    with capture_logs() as logs:
        async with client(Accepted(error=OSError())) as http:
            await post(http, MESSAGES_PATH, SMS)
            await post(http, MESSAGES_PATH, SMS, headers={HEADER: None})
    assert len(logs) == 2
    assert not any(secret in str(logs) for secret in ("Grüße", "49152", "49151", TOKEN))
