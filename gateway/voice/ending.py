"""What Twilio tells of a call's end: the backstop that ends what no stream has, and corrects its minutes."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from gateway.channels.base import LineAddress
from gateway.channels.twilio_forms import Fields, whole_number
from gateway.twilio import calls
from gateway.voice import call_store
from gateway.voice.answering import Voice
from gateway.voice.arrival.ringing import read_ringing
from gateway.voice.call_store import FoundCall
from gateway.voice.credit.settling import end_call, note_duration

# A call that no stream has, and why it is over.
UNPUMPED: Final[Mapping[str, str]] = {"offered": "not_connected", "away": "not_resumed", "forwarding": "forwarded"}
COMPLETED: Final = "completed"  # any other last word means that it was never answered


async def call_told(voice: Voice, fields: Fields) -> str:
    """Note how a call of ours ended; told again, or of somebody else's call, it changes nothing.

    A call that a stream has is ended by that stream, which hears of the end as well and knows what was used.
    """
    services, ringing, said = voice.services, read_ringing(fields), fields.get("CallStatus")
    if ringing is None or said not in calls.FINAL:
        return ""
    owner = await voice.directory.find(LineAddress(kind="number", value=ringing.our_number))
    if owner is None:
        return ""
    async with services.db.transaction(owner.tenant_id) as connection:
        found = await call_store.find_by_sid(connection, owner.tenant_id, ringing.call_sid)
    if found is None:
        return ""
    voice.waiting.drop(found.call_id)
    await _end_unpumped(voice, owner.tenant_id, found)
    duration_s = whole_number(fields.get("CallDuration"))
    if duration_s is None and said != COMPLETED:
        duration_s = 0
    if duration_s is not None:
        await note_duration(services, owner.tenant_id, ringing.call_sid, duration_s)
    return ""


async def _end_unpumped(voice: Voice, tenant_id: UUID, found: FoundCall) -> None:
    reason, services = UNPUMPED.get(found.state), voice.services
    if reason is not None:
        async with services.db.transaction(tenant_id) as connection:
            call = await call_store.load_call(connection, tenant_id, found.call_id, services.versions)
        await end_call(services, call.account, reason=reason, figures={}, provider_usage={})
