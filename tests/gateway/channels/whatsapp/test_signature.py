"""Only Meta's own bytes pass."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.whatsapp.signature import is_valid, sign

SECRET = "an app secret"
# As it goes over the wire: Meta escapes what is not ASCII, and slashes.
BODY = rb'{"text":"Gr\u00fc\u00dfe \ud83d\ude0a http:\/\/example.org"}'


def test_a_signature_made_by_hand_is_valid() -> None:
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert is_valid(BODY, f"sha256={digest}", SECRET)
    assert is_valid(BODY, f"sha256={digest.upper()}", SECRET)


@given(st.binary())
def test_what_is_signed_is_valid(body: bytes) -> None:
    assert is_valid(body, sign(body, SECRET), SECRET)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        "sha256",
        sign(BODY, SECRET)[7:],
        sign(BODY, SECRET)[:-1],
        sign(BODY, SECRET) + "0",
        sign(BODY, SECRET) + "\n",
        " " + sign(BODY, SECRET),
        "SHA256=" + sign(BODY, SECRET)[7:],
        "sha1=" + sign(BODY, SECRET)[7:],
        "sha256=" + "g" * 64,
        "sha256=" + "\u0660" * 64,
        sign(BODY, "another secret"),
    ],
)
def test_every_other_form_is_refused(header: str | None) -> None:
    assert not is_valid(BODY, header, SECRET)


def test_a_changed_body_is_refused() -> None:
    header = sign(BODY, SECRET)
    assert not is_valid(BODY + b" ", header, SECRET)
    assert not is_valid(BODY.replace(rb"\u00fc", "ü".encode()), header, SECRET)
    assert not is_valid(b"", header, SECRET)


def test_without_a_secret_nothing_is_valid() -> None:
    assert not is_valid(BODY, sign(BODY, ""), "")
