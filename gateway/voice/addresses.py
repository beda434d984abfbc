"""Where Twilio finds us while a call goes on (pure). An address names its tenant: it is signed, and only we make it."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.voice.call import Call

VOICE: Final = "/webhooks/twilio/voice"
STATUS: Final = "/webhooks/twilio/voice/status"
DIALLED: Final = "/webhooks/twilio/voice/dialled"
WHISPER: Final = "/webhooks/twilio/voice/whisper"
LEG_STATUS: Final = "/webhooks/twilio/voice/leg-status"
RECORDING: Final = "/webhooks/twilio/voice/recording"
MEDIA: Final = "/twilio/media"
TENANT: Final = "tenant"  # in the query


@dataclass(frozen=True, slots=True, kw_only=True)
class LegAddresses:
    """What Twilio asks and tells about a person who is dialled."""

    action: str
    whisper: str
    status: str


def leg_addresses(public_url: str, call: Call, leg: int) -> LegAddresses:
    """Return the addresses of one leg of a call."""
    action, whisper, status = (
        f"{public_url}{path}/{call.call_id}/{leg}?{TENANT}={call.tenant_id}" for path in (DIALLED, WHISPER, LEG_STATUS)
    )
    return LegAddresses(action=action, whisper=whisper, status=status)


def recording_address(public_url: str, call: Call) -> str:
    return f"{public_url}{RECORDING}/{call.call_id}?{TENANT}={call.tenant_id}"


def id_of(text: str) -> UUID | None:
    """Return the tenant or the call that an address names; None if it names none."""
    try:
        return UUID(text)
    except ValueError:
        return None
