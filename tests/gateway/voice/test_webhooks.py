"""That it is Twilio: signed forms and signed sockets, over the public address in every way it may be written."""

import pytest

from gateway.simulator.twilio_wire import shared_key_signature, signature
from gateway.twilio.signature import is_signed
from gateway.voice.webhooks import socket_url, upgrade_urls

PATH = "/twilio/media/token"
TOKEN = "an auth token"


@pytest.mark.parametrize(
    ("public_url", "socket"),
    [
        ("https://gateway.example.com", "wss://gateway.example.com/twilio/media/token"),
        ("https://gateway.example.com:8443/prefix", "wss://gateway.example.com:8443/prefix/twilio/media/token"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/twilio/media/token"),
    ],
)
def test_a_socket_is_reached_where_the_webhooks_are(public_url: str, socket: str) -> None:
    assert socket_url(public_url, PATH) == socket


@pytest.mark.parametrize(
    "signed",
    [
        "wss://gateway.example.com/prefix/twilio/media/token",
        "wss://gateway.example.com:443/prefix/twilio/media/token",
        "https://gateway.example.com/prefix/twilio/media/token",
        "https://gateway.example.com:443/prefix/twilio/media/token",
    ],
)
def test_a_socket_may_be_signed_by_either_scheme_with_and_without_the_port(signed: str) -> None:
    assert matches("https://gateway.example.com/prefix", signed)


def test_a_socket_on_a_port_of_its_own_may_be_signed_with_and_without_it() -> None:
    assert matches("http://127.0.0.1:8080", "ws://127.0.0.1:8080/twilio/media/token")
    assert matches("http://127.0.0.1:8080", "http://127.0.0.1/twilio/media/token")


@pytest.mark.parametrize(
    "signed",
    [
        "wss://other.example.com/prefix/twilio/media/token",
        "wss://gateway.example.com/twilio/media/token",
        "wss://gateway.example.com/prefix/twilio/media/another",
        "wss://gateway.example.com:8443/prefix/twilio/media/token",
    ],
)
def test_another_host_path_port_or_token_is_not_signed(signed: str) -> None:
    assert not matches("https://gateway.example.com/prefix", signed)


def test_with_shared_keys_only_they_count() -> None:
    [url, *_] = upgrade_urls("https://gateway.example.com", PATH)
    keys = {"webhooks_sharedkey_1": "a secret"}
    settings_header = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    for header, expected in ((shared_key_signature(url, (), "a secret"), True), (signature(url, (), TOKEN), False)):
        assert expected is is_signed(
            url=url,
            form=(),
            body=b"",
            header=header,
            settings_header=settings_header,
            auth_token=TOKEN,
            shared_keys=keys,
        )


def matches(public_url: str, signed: str) -> bool:
    header = signature(signed, (), TOKEN)
    return any(
        is_signed(url=url, form=(), body=b"", header=header, settings_header=None, auth_token=TOKEN, shared_keys={})
        for url in upgrade_urls(public_url, PATH)
    )
