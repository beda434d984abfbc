"""Whether Meta sent a body (pure): HMAC-SHA256 of the raw bytes with the app's secret, in X-Hub-Signature-256."""

import hashlib
import hmac
import re

HEADER = "X-Hub-Signature-256"

_SIGNATURE = re.compile("sha256=[0-9a-fA-F]{64}", re.ASCII)


def sign(body: bytes, app_secret: str) -> str:
    """Return the header's value for a body as it goes over the wire."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def is_valid(body: bytes, header: str | None, app_secret: str) -> bool:
    """Return whether the header signs exactly these bytes. No header, another form or no secret: it does not."""
    if not app_secret or header is None or _SIGNATURE.fullmatch(header) is None:
        return False
    return hmac.compare_digest(sign(body, app_secret), header.lower())
