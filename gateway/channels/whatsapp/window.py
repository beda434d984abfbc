"""When free text may be sent on WhatsApp (pure): 24 hours from the customer's last message, exactly 24 excluded.

Only a customer's own message opens the window; nothing that we send does.
"""

from datetime import datetime, timedelta

OPEN_FOR = timedelta(hours=24)


def is_open(
    last_customer_message_at: datetime | None,
    closed_by_provider_at: datetime | None,
    now: datetime,
    margin_s: float,
) -> bool:
    """Return whether free text may go out now. `closed_by_provider_at` is unset once the customer writes again."""
    if last_customer_message_at is None or closed_by_provider_at is not None:
        return False
    return now < closes_at(last_customer_message_at, margin_s)


def closes_at(last_customer_message_at: datetime, margin_s: float) -> datetime:
    """Return the first moment at which nothing may be sent: a margin early, for clocks that differ."""
    return last_customer_message_at + OPEN_FOR - timedelta(seconds=margin_s)
