"""Only Twilio's own requests pass, whichever way the account is set up; nothing that cannot be verified raises."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.twilio.signature import is_signed

DATA = Path(__file__).parents[4] / "shared" / "data"
TOKEN = "12345"
URL = "https://gateway.example.com/webhooks/twilio/messages"
FORM = [("MessageSid", "SM" + "0" * 32), ("From", "+4915200000101"), ("Body", "Hallo")]
SHARED = {"webhooks_a": "secret a", "webhooks_b": "secret b"}

Pairs = Sequence[tuple[str, str]]


def signed(url: str, form: Pairs, *, secret: str = TOKEN, algorithm: str = "sha1") -> str:
    """Sign as Twilio's documentation says: distinct names in order, the distinct values of each in order."""
    names = sorted({name for name, _ in form})
    fields = "".join(
        name + value for name in names for value in sorted({value for other, value in form if other == name})
    )
    return base64.b64encode(hmac.new(secret.encode(), (url + fields).encode(), algorithm).digest()).decode()


def check(url: str = URL, form: Pairs = FORM, **changes: Any) -> bool:  # noqa: ANN401 - any argument of is_signed
    arguments: dict[str, Any] = {
        "url": url,
        "form": form,
        "body": urlencode(form, errors="replace").encode(),
        "header": None,
        "settings_header": None,
        "auth_token": TOKEN,
        "shared_keys": {},
    }
    return is_signed(**{**arguments, **changes})


def with_key(key: str, algorithm: str = "HMAC_SHA256") -> str:
    return f"key={key},algorithm={algorithm}"


def vectors(name: str) -> Mapping[str, Any]:
    path = DATA / name
    if not path.exists():
        pytest.skip("the sample data is not here")
    loaded: Mapping[str, Any] = json.loads(path.read_text())
    return loaded


def test_twilios_own_vectors_pass() -> None:
    given_vectors = vectors("request_validator_vectors.json")
    by_name = {vector["name"]: vector for vector in given_vectors["vectors"]}
    for vector in by_name.values():
        pairs = vector.get("params") or by_name.get(vector.get("params_of", ""), {}).get("params") or []
        form = [(name, value) for name, value in pairs]
        body = vector["body"].encode() if "body" in vector else urlencode(form).encode()
        assert check(
            vector["url"], form, body=body, header=vector["signature"], auth_token=given_vectors["auth_token"]
        ), vector["name"]


def test_the_vectors_for_shared_keys_pass_and_their_sha1_does_not() -> None:
    given_vectors = vectors("sharedkey_vectors_computed.json")
    secret, settings = given_vectors["secret"], given_vectors["header"].partition(": ")[2]
    keys = {"webhooks_sharedkey_example": secret}
    for vector in given_vectors["vectors"]:
        form = [(name, value) for name, value in vector["params"]]
        sha1, sha256 = vector["signature_hmac_sha1"], vector["signature_hmac_sha256"]
        assert check(vector["url"], form, header=sha256, settings_header=settings, shared_keys=keys)
        assert not check(vector["url"], form, header=sha1, settings_header=settings, shared_keys=keys)
        assert check(vector["url"], form, header=sha1, auth_token=secret)


@pytest.mark.parametrize(
    "form",
    [
        [],
        [("Body", "")],
        [("Body", "  zwei Leerzeichen  "), ("ToCity", "")],
        [("Body", "Zeile\r\nnoch eine\n")],
        [("Body", "Grüße 😀 & mehr = 100 %")],
        [("Digits", "2"), ("Digits", "1"), ("Digits", "2")],
        [("Ein Name", "1"), ("Ähnlich", "2"), ("", "")],
    ],
)
@pytest.mark.parametrize("query", ["", "?mid=0191&x=%7Eq%2F%c3%a4+", "?a=1&a=2&leer="])
def test_whatever_a_form_holds_it_is_verified_as_it_came(form: Pairs, query: str) -> None:
    came = parse_qsl(urlencode(form), keep_blank_values=True)
    assert check(URL + query, came, header=signed(URL + query, form))


@pytest.mark.parametrize(
    ("called", "signed_over"),
    [
        ("https://x.example/a?b=1", "https://x.example:443/a?b=1"),
        ("https://x.example:443/a", "https://x.example/a"),
        ("http://x.example/a", "http://x.example:80/a"),
        ("https://x.example:1234/a", "https://x.example/a"),
        ("https://x.example:1234/a", "https://x.example:1234/a"),
    ],
)
def test_twilio_signs_with_or_without_the_port(called: str, signed_over: str) -> None:
    assert check(called, header=signed(signed_over, FORM))


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.example.com/webhooks/twilio/messages",
        "https://gateway.example.com/webhooks/twilio/messages/",
        "https://gateway.example.com/webhooks/twilio/messages?x=1",
        "https://other.example.com/webhooks/twilio/messages",
        "https://gateway.example.com:8443/webhooks/twilio/status",
    ],
)
def test_a_signature_for_another_address_is_refused(url: str) -> None:
    assert not check(url, header=signed(URL, FORM))


@pytest.mark.parametrize(
    "url",
    [
        "https://[2001:db8::1]/a",
        "https://[2001:db8::1]:8443/a",
        "https://[broken/a",
        "https://x.example:port/a",
        "https://x.example:99999/a",
        "https://x.example/\udcff",
        "",
    ],
)
def test_an_address_that_the_validator_cannot_read_is_refused_and_raises_nothing(url: str) -> None:
    assert not check(url, header=signed(url.replace("\udcff", "?"), FORM))


@pytest.mark.parametrize(
    "header", [None, "", " ", "=", "Ümlaut", "\udcff", signed(URL, FORM)[:-1], signed(URL, FORM) + " "]
)
def test_a_missing_or_mangled_signature_is_refused(header: str | None) -> None:
    assert not check(header=header)


def test_a_field_that_has_no_bytes_is_refused() -> None:
    assert not check(form=[("Body", "\ud83d")], header=signed(URL, FORM))


@pytest.mark.parametrize("auth_token", [None, ""])
def test_without_a_token_nothing_is_signed(auth_token: str | None) -> None:
    assert not check(header=signed(URL, FORM, secret=""), auth_token=auth_token)


def test_a_body_that_is_no_form_needs_its_hash_in_the_query() -> None:
    body = '{"text":"Grüße"}'.encode()
    url = f"{URL}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    header = signed(url, [])
    assert check(url, [], body=body, header=header)
    assert not check(url, [], body=body + b" ", header=header)
    assert not check(url, [], body=b"\xff\xfe", header=header)
    assert not check(URL, [], body=body, header=signed(URL, []))
    twice = f"{url}&bodySHA256={hashlib.sha256(b'').hexdigest()}"
    assert not check(twice, [], body=body, header=signed(twice, []))


def test_the_secret_is_picked_by_the_key_that_the_request_names() -> None:
    header = signed(URL, FORM, secret=SHARED["webhooks_b"], algorithm="sha256")
    assert check(header=header, settings_header=with_key("webhooks_b"), shared_keys=SHARED)
    assert check(header=header, settings_header=" algorithm=hmac_sha256 , key=webhooks_b ", shared_keys=SHARED)
    assert check(header=header, settings_header=with_key("webhooks_b"), shared_keys=SHARED, auth_token=None)
    assert not check(header=header, settings_header=with_key("webhooks_a"), shared_keys=SHARED)


@pytest.mark.parametrize(
    "settings",
    [
        None,
        "",
        "algorithm=HMAC_SHA256",
        "key=webhooks_a",
        with_key("webhooks_c"),
        with_key("webhooks_a", "HMAC_SHA1"),
        with_key("webhooks_a", "HMAC_SHA512"),
        with_key("webhooks_a", ""),
        with_key("webhooks_a") + ",key=webhooks_b",
        with_key("webhooks_a") + ",algorithm=HMAC_SHA1",
        "nonsense",
    ],
)
def test_with_shared_keys_nothing_weaker_is_taken(settings: str | None) -> None:
    for secret in (TOKEN, *SHARED.values()):
        for algorithm in ("sha1", "sha256", "sha512"):
            header = signed(URL, FORM, secret=secret, algorithm=algorithm)
            assert not check(header=header, settings_header=settings, shared_keys=SHARED)
    assert not check(header=signed(URL, FORM), shared_keys=SHARED)


def test_without_shared_keys_a_request_that_names_one_is_refused() -> None:
    for algorithm in ("sha1", "sha256"):
        header = signed(URL, FORM, algorithm=algorithm)
        assert not check(header=header, settings_header=with_key("webhooks_a"))
    assert check(header=signed(URL, FORM), settings_header="algorithm=HMAC_SHA1")


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
values = st.text(st.characters(codec="utf-8"), max_size=12)
forms = st.dictionaries(names, values, min_size=1, max_size=5)


@given(forms, st.data())
def test_one_changed_value_is_enough_to_be_refused(form: dict[str, str], data: st.DataObject) -> None:
    header = signed(URL, list(form.items()))
    assert check(form=list(form.items()), header=header)
    name = data.draw(st.sampled_from(sorted(form)))
    value = data.draw(values)
    assume(value != form[name])
    assert not check(form=list({**form, name: value}.items()), header=header)


@given(forms, st.text("abc/?&=%20", min_size=1, max_size=5))
def test_a_longer_address_is_refused(form: dict[str, str], more: str) -> None:
    pairs = list(form.items())
    assume(not any(name.startswith(more) or more.startswith(name) for name in form))
    assert not check(f"{URL}?{more}", pairs, header=signed(URL, pairs))


@given(st.integers(0, 19), st.integers(1, 255))
def test_one_changed_bit_of_the_signature_is_refused(place: int, flip: int) -> None:
    digest = bytearray(base64.b64decode(signed(URL, FORM)))
    digest[place] ^= flip
    assert not check(header=base64.b64encode(digest).decode())


@given(
    url=st.text(),
    form=st.lists(st.tuples(st.text(), st.text()), max_size=3),
    body=st.binary(max_size=20),
    header=st.none() | st.text(max_size=30),
    settings_header=st.none() | st.text("key=,algorithm HMAC_SHA256", max_size=30),
    keys=st.sampled_from([{}, SHARED]),
)
def test_nothing_raises(
    *, url: str, form: Pairs, body: bytes, header: str | None, settings_header: str | None, keys: Mapping[str, str]
) -> None:
    assert not check(url, form, body=body, header=header, settings_header=settings_header, shared_keys=keys)
