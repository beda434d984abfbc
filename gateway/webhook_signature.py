"""Signing what is posted to owners' systems, as Standard Webhooks 1.0 says (symmetric, `v1`)."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32  # the standard asks for 24 to 64


def secret_text(secret: bytes) -> str:
    """Return a secret as its owner sees it."""
    return PREFIX + base64.b64encode(secret).decode()


def signature_header(secrets: Iterable[bytes], *, webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the `webhook-signature` of a body: one signature by each secret that is valid now."""
    signed = b".".join((webhook_id.encode(), str(timestamp_s).encode(), body))
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets
    )
