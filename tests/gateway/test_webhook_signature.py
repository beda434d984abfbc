"""The signature is the one that every Standard Webhooks library verifies."""

import base64

from gateway.webhook_signature import secret_text, signature_header

# The example that the reference libraries of Standard Webhooks are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WEBHOOK_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP_S = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

KEY = base64.b64decode(SECRET.removeprefix("whsec_"))


def test_the_published_example_is_signed_as_published() -> None:
    assert signature_header([KEY], webhook_id=WEBHOOK_ID, timestamp_s=TIMESTAMP_S, body=BODY) == SIGNATURE


def test_a_secret_is_shown_in_the_standards_form() -> None:
    assert secret_text(KEY) == SECRET


def test_two_secrets_sign_side_by_side_with_a_space_between() -> None:
    both = signature_header([b"n" * 32, KEY], webhook_id=WEBHOOK_ID, timestamp_s=TIMESTAMP_S, body=BODY)
    assert both.split(" ")[1] == SIGNATURE
    assert len(both.split(" ")) == 2


def test_body_time_and_id_are_all_signed() -> None:
    def signed(webhook_id: str = WEBHOOK_ID, timestamp_s: int = TIMESTAMP_S, body: bytes = BODY) -> str:
        return signature_header([KEY], webhook_id=webhook_id, timestamp_s=timestamp_s, body=body)

    changed = {signed(webhook_id="msg_2"), signed(timestamp_s=TIMESTAMP_S + 1), signed(body=BODY + b" ")}
    assert len(changed | {SIGNATURE}) == 4
