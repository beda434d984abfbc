"""One item of `statuses` as a delivery report (pure), and Meta's error codes sorted by what they mean for us."""

from collections.abc import Mapping
from uuid import UUID

from gateway.channels.base import DeliveryReport, DeliveryStatus, Notice
from gateway.channels.whatsapp.fields import (
    Json,
    as_moment,
    as_object,
    as_text,
    as_whole_number,
    objects,
    required,
)

STATUSES: Mapping[str, DeliveryStatus] = {
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "played": DeliveryStatus.READ,
    "failed": DeliveryStatus.FAILED,
}
WINDOW_CLOSED_CODES = frozenset({131047, 470})  # the second one from before the Cloud API
PAYMENT_CODES = frozenset({131042, 131044})


def read_status(status: Json) -> DeliveryReport | Notice:
    """Return a delivery report. Raises UnreadableError for one that names no message."""
    if status.get("recipient_type") == "group":
        return Notice(name="group_status", content=status)
    word = as_text(status.get("status"))
    errors = tuple(objects(status.get("errors")))
    codes = {error_code(error) for error in errors}
    return DeliveryReport(
        provider_id=required(status.get("id"), "id"),
        status=STATUSES.get(word, DeliveryStatus.UNKNOWN),
        provider_status=word,
        our_message_id=_our_id(status.get("biz_opaque_callback_data")),
        provider_at=as_moment(status.get("timestamp")),
        pricing=as_object(status.get("pricing")) or None,
        errors=errors,
        window_closed=bool(codes & WINDOW_CLOSED_CODES),
        payment_problem=bool(codes & PAYMENT_CODES),
    )


def error_code(error: Json) -> int | None:
    return as_whole_number(error.get("code"))


def _our_id(value: object) -> UUID | None:
    """Return the id that we sent along; somebody else's words in this field are none."""
    try:
        return UUID(as_text(value))
    except ValueError:
        return None
