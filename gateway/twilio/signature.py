"""Whether Twilio sent a request: HMAC over the URL as Twilio called it and every form field.

The only importer of `twilio`. Its validator is strict enough about what it is given, but raises on a missing header,
on a body without its hash and on some addresses; here everything that cannot be verified is simply not signed.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, RequestValidator

HEADER: Final = "X-Twilio-Signature"
SETTINGS_HEADER: Final = "X-Twilio-Webhooks-Signature-Settings"
BODY_HASH: Final = "bodySHA256"  # in the query, where a body is no form


class _Fields(dict[str, list[str]]):
    """A form in the one shape in which the validator sees every value of a repeated field."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def is_signed(
    *,
    url: str,
    form: Sequence[tuple[str, str]],
    body: bytes,
    header: str | None,
    settings_header: str | None,
    auth_token: str | None,
    shared_keys: Mapping[str, str],
) -> bool:
    """Return whether the signature belongs to exactly this request. Never raises.

    `url` is the public address with path and query as they were called, `form` every pair of a form body. Any other
    body must have its SHA-256 in the query. With shared keys only their HMAC-SHA256 counts: the account's token and
    SHA-1 are refused, else whoever holds the token could go around the keys.
    """
    secret, algorithm = _secret(settings_header, auth_token, shared_keys)
    if not secret or not header:
        return False
    try:
        return _is_valid(RequestValidator(secret), algorithm, header, url=url, form=form, body=body)
    except ValueError:  # an address that is none, or characters that have no bytes
        return False


def _is_valid(
    validator: RequestValidator,
    algorithm: str,
    header: str,
    *,
    url: str,
    form: Sequence[tuple[str, str]],
    body: bytes,
) -> bool:
    address = urlsplit(url)
    if not address.hostname or "[" in address.netloc:  # the validator cuts an IPv6 address at its first colon
        return False
    if form or not body:
        fields = _Fields()
        for name, value in form:
            fields.setdefault(name, []).append(value)
        return bool(validator.validate(url, fields, header, algorithm))
    if len(parse_qs(address.query).get(BODY_HASH, [])) != 1:
        return False
    return bool(validator.validate(url, body.decode(), header, algorithm))


def _secret(
    settings_header: str | None, auth_token: str | None, shared_keys: Mapping[str, str]
) -> tuple[str | None, str]:
    """Return what the request must be signed with and how; no secret if it asks for what is not allowed."""
    pairs = [part.partition("=") for part in (settings_header or "").split(",") if part.strip()]
    said = {name.strip(): value.strip() for name, _, value in pairs}
    if len(said) != len(pairs):  # two keys or two algorithms: nobody can say which one counts
        return None, HMAC_SHA256
    algorithm = said.get("algorithm", HMAC_SHA1).upper()
    if shared_keys:
        return (shared_keys.get(said.get("key", "")) if algorithm == HMAC_SHA256 else None), HMAC_SHA256
    return (auth_token if algorithm == HMAC_SHA1 else None), HMAC_SHA1
