"""Twilio's numbers: what is to be had, buying one under a name of ours, looking it up by that name, giving it back.

A purchase names one number, so that buying twice cannot yield two; its name tells whether it went through.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.twilio.rest import Accepted, Failure, Form, NotConnected, OutcomeUnknown, Refused, TwilioRest

OWNED = "IncomingPhoneNumbers"
NOT_FOUND = 20404
_FOLDERS: Mapping[str, str] = {"local": "Local", "mobile": "Mobile"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedNumber:
    """A number that could be bought. `needs_address`: which the regulator wants to see (none, any, local, foreign)."""

    number: str
    place: str
    needs_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoughtNumber:
    """A number that is ours, and what Twilio calls it."""

    sid: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What is to be bought. `name` is our own id; to the addresses Twilio posts messages, calls and how they ended."""

    number: str
    name: str
    sms_url: str
    voice_url: str
    voice_status_url: str
    bundle_sid: str | None = None
    address_sid: str | None = None


async def search(
    twilio: TwilioRest, *, country: str, kind: str, limit: int, number: str | None = None
) -> list[OfferedNumber] | Failure:
    """Return numbers of a country (two letters) and kind (local or mobile); none if Twilio has no such thing there.

    With a number, only that one, if it is to be had and of that kind.
    """
    wanted = [("VoiceEnabled", "true"), ("PageSize", str(limit))]
    if kind == "mobile":
        wanted.append(("SmsEnabled", "true"))
    if number is not None:
        wanted.append(("Contains", number.removeprefix("+")))
    answer = await twilio.get(f"AvailablePhoneNumbers/{country}/{_FOLDERS[kind]}.json", wanted)
    match answer:
        case Accepted(body):
            offers = map(_offer, _items(body, "available_phone_numbers"))
            found = [offer for offer in offers if offer is not None and number in (None, offer.number)]
            return found[:limit]
        case Refused(code, status) if code == NOT_FOUND or status == 404:
            return []
        case _:
            return answer


async def buy(twilio: TwilioRest, purchase: Purchase) -> BoughtNumber | Failure:
    """Buy a number, with its webhooks set from its first moment on.

    A call that one process does not take is asked about once more: by the same address it comes to another one.
    """
    form = [
        ("PhoneNumber", purchase.number),
        ("FriendlyName", purchase.name),
        ("SmsUrl", purchase.sms_url),
        ("SmsMethod", "POST"),
        ("VoiceUrl", purchase.voice_url),
        ("VoiceMethod", "POST"),
        ("VoiceFallbackUrl", purchase.voice_url),
        ("VoiceFallbackMethod", "POST"),
        ("StatusCallback", purchase.voice_status_url),
        ("StatusCallbackMethod", "POST"),
    ]
    optional = (("BundleSid", purchase.bundle_sid), ("AddressSid", purchase.address_sid))
    form += [(name, value) for name, value in optional if value is not None]
    answer = await twilio.post(f"{OWNED}.json", form)
    match answer:
        case Accepted(body):
            return _bought(body) or OutcomeUnknown("an answer without a number")
        case _:
            return answer


async def find(twilio: TwilioRest, name: str) -> BoughtNumber | Failure | None:
    """Return the number that was bought under a name; None if there is none."""
    query: Form = [("FriendlyName", name), ("PageSize", "50")]
    answer = await twilio.get(f"{OWNED}.json", query)
    match answer:
        case Accepted(body):
            named = [item for item in _items(body, "incoming_phone_numbers") if item.get("friendly_name") == name]
            return _bought(named[0]) if named else None
        case _:
            return answer


async def give_back(twilio: TwilioRest, sid: str) -> Failure | None:
    """Give a number back; None if Twilio has it, which it may have had before."""
    answer = await twilio.delete(f"{OWNED}/{sid}.json")
    match answer:
        case Accepted():
            return None
        case Refused(code, status) if code == NOT_FOUND or status == 404:
            return None
        case _:
            return answer


def code_of(failure: Failure) -> str:
    """Return a failure as a short code for logs and orders; it names no number."""
    match failure:
        case Refused(code, status):
            return f"twilio_{code or status}"
        case OutcomeUnknown():
            return "outcome_unknown"
        case NotConnected():
            return "twilio_unreachable"
        case _:
            return "twilio_throttled"


def _items(body: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    found = body.get(name)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _offer(item: Mapping[str, object]) -> OfferedNumber | None:
    number = item.get("phone_number")
    if not isinstance(number, str):
        return None
    place = item.get("locality") or item.get("region") or ""
    return OfferedNumber(number=number, place=str(place), needs_address=str(item.get("address_requirements") or "none"))


def _bought(item: Mapping[str, object]) -> BoughtNumber | None:
    sid, number = item.get("sid"), item.get("phone_number")
    return BoughtNumber(sid=sid, number=number) if isinstance(sid, str) and isinstance(number, str) else None
