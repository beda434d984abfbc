"""What is to be done with a message that is due: sent, waited for, looked up, or given up, and why."""

from datetime import datetime
from typing import Literal

from gateway.channels.whatsapp import window
from gateway.outbox_store import Letter
from gateway.services import Services

LOOK_UPS_MAX = 6  # of one message: by then an hour has passed

Refusal = Literal["line_not_active", "window_closed", "opted_out", "too_often", "lost"]
Verdict = Literal["send", "ask_reports", "look_up", "already_reported"] | Refusal


def verdict(services: Services, letter: Letter) -> Verdict:
    """Decide what is to be done with a message that is due."""
    if letter.message_state != "queued":
        return "already_reported"
    if letter.state == "sending":  # whoever was sending it died
        return "ask_reports"
    if letter.state == "unknown" and services.channels[letter.provider].looks_up:
        return "lost" if letter.unknowns > LOOK_UPS_MAX else "look_up"
    return _refusal(services, letter) or "send"


def _refusal(services: Services, letter: Letter) -> Refusal | None:
    now, limits, first = services.now(), services.limits, letter.first_attempt_at
    if letter.line_state != "active":
        return "line_not_active"
    if letter.state == "unknown" and letter.unknowns > 1:
        return "lost"
    if not _window_is_open(services, letter, now):
        return "window_closed"
    if letter.opted_out_at is not None and not _confirms_stop(letter):
        return "opted_out"
    if letter.attempts >= limits.send_attempts or (first and (now - first).total_seconds() > limits.send_for_s):
        return "too_often"
    return None


def _window_is_open(services: Services, letter: Letter, now: datetime) -> bool:
    margin_s = services.limits.margin_for(letter.provider)
    return letter.channel != "whatsapp" or window.is_open(
        letter.last_customer_message_at, letter.closed_by_provider_at, now, margin_s
    )


def _confirms_stop(letter: Letter) -> bool:
    """Say whether this may be what a STOP is answered with: the system's, and no turn's apology or away text.

    On SMS the provider confirms, and lets nothing of ours through.
    """
    return letter.channel == "whatsapp" and letter.author == "system" and letter.turn_id is None
