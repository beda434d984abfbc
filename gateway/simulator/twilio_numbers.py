"""Twilio's shop for numbers: what is to be had, bought, set up and given back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Literal

from aiohttp import web

from gateway.simulator import twilio_wire as wire
from gateway.simulator.twilio_account import TwilioAccount
from gateway.simulator.twilio_answers import hang_up, listed, refusal
from gateway.simulator.twilio_wire import Json

NumberKind = Literal["mobile", "local"]

AVAILABLE: Mapping[tuple[str, NumberKind], Sequence[str]] = {
    ("DE", "mobile"): [f"+4915735990{at:03d}" for at in range(100)],
    ("DE", "local"): [f"+4930901820{at:02d}" for at in range(100)],
}


@dataclass(slots=True, kw_only=True)
class Number:
    """A number that the account has rented. A landline takes no SMS."""

    sid: str
    number: str
    kind: NumberKind
    created_at: datetime
    friendly_name: str = ""
    sms_url: str = ""
    sms_fallback_url: str = ""
    voice_url: str = ""
    voice_fallback_url: str = ""
    status_callback: str = ""


class Numbers:
    """The account's numbers, and those that are for sale."""

    def __init__(self, account: TwilioAccount) -> None:
        self._account = account
        self._owned: dict[str, Number] = {}  # by sid
        self.available = {key: list(numbers) for key, numbers in AVAILABLE.items()}

    def __iter__(self) -> Iterator[Number]:
        return iter(self._owned.values())

    def add(self, number: str, kind: NumberKind, **settings: str) -> Number:
        """Rent a number to the account."""
        added = Number(
            sid=self._account.new_sid("PN"), number=number, kind=kind, created_at=self._account.now(), **settings
        )
        self._owned[added.sid] = added
        return added

    def by_number(self, number: str) -> Number | None:
        return next((one for one in self if one.number == number), None)

    def routes(self, account_path: str) -> list[web.RouteDef]:
        owned = f"{account_path}/IncomingPhoneNumbers"
        return [
            web.get(f"{account_path}/AvailablePhoneNumbers/{{country}}/{{kind}}.json", self._search),
            web.get(f"{owned}.json", self._list),
            web.post(f"{owned}.json", self._buy),
            web.get(f"{owned}/{{sid}}.json", self._show),
            web.post(f"{owned}/{{sid}}.json", self._change),
            web.delete(f"{owned}/{{sid}}.json", self._release),
        ]

    async def _search(self, request: web.Request) -> web.Response:
        country, kind = request.match_info["country"], request.match_info["kind"].lower()
        numbers = next((found for key, found in self.available.items() if key == (country, kind)), None)
        if numbers is None:
            return refusal(20404, 404)
        limit = min(int(request.query.get("PageSize", "30")), len(numbers))
        body = {"available_phone_numbers": [_offer(number, country, kind == "mobile") for number in numbers[:limit]]}
        return web.json_response(body)

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        found = [
            self._resource(number)
            for number in self
            if query.get("FriendlyName", number.friendly_name) == number.friendly_name
            and query.get("PhoneNumber", number.number) == number.number
        ]
        return listed(request, "incoming_phone_numbers", found)

    async def _buy(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        faults, wanted = self._account.faults, form.get("PhoneNumber", "")
        if faults.purchase_codes:
            return refusal(faults.purchase_codes.pop(0))
        kind = next((kind for (_, kind), numbers in self.available.items() if wanted in numbers), None)
        if faults.numbers_gone > 0 or kind is None:
            faults.numbers_gone = max(0, faults.numbers_gone - 1)
            return refusal(21422)
        for numbers in self.available.values():
            if wanted in numbers:
                numbers.remove(wanted)
        bought = self.add(wanted, kind)
        _set_up(bought, form)
        if faults.purchases_dropped > 0:
            faults.purchases_dropped -= 1
            return hang_up(request)
        return web.json_response(self._resource(bought), status=201)

    async def _show(self, request: web.Request) -> web.Response:
        number = self._owned.get(request.match_info["sid"])
        return refusal(20404, 404) if number is None else web.json_response(self._resource(number))

    async def _change(self, request: web.Request) -> web.Response:
        number = self._owned.get(request.match_info["sid"])
        if number is None:
            return refusal(20404, 404)
        _set_up(number, {name: str(value) for name, value in (await request.post()).items()})
        return web.json_response(self._resource(number))

    async def _release(self, request: web.Request) -> web.Response:
        number = self._owned.pop(request.match_info["sid"], None)
        return refusal(20404, 404) if number is None else web.Response(status=204)

    def _resource(self, number: Number) -> Json:
        return {
            "sid": number.sid,
            "account_sid": self._account.account_sid,
            "phone_number": number.number,
            "friendly_name": number.friendly_name,
            "capabilities": _capabilities(number.kind == "mobile"),
            "date_created": format_datetime(number.created_at),
            "sms_url": number.sms_url,
            "sms_method": "POST",
            "sms_fallback_url": number.sms_fallback_url,
            "voice_url": number.voice_url,
            "voice_fallback_url": number.voice_fallback_url,
            "voice_method": "POST",
            "status_callback": number.status_callback,
            "status": "in-use",
            "type": number.kind,
            "api_version": wire.API_VERSION,
        }


def _set_up(number: Number, form: Mapping[str, str]) -> None:
    """Change what a form names and leave the rest."""
    number.friendly_name = form.get("FriendlyName", number.friendly_name)
    number.sms_url = form.get("SmsUrl", number.sms_url)
    number.sms_fallback_url = form.get("SmsFallbackUrl", number.sms_fallback_url)
    number.voice_url = form.get("VoiceUrl", number.voice_url)
    number.voice_fallback_url = form.get("VoiceFallbackUrl", number.voice_fallback_url)
    number.status_callback = form.get("StatusCallback", number.status_callback)


def _offer(number: str, country: str, mobile: bool) -> Json:
    return {
        "phone_number": number,
        "friendly_name": number,
        "iso_country": country,
        "locality": None,
        "region": None,
        "address_requirements": "any",
        "beta": False,
        "capabilities": _capabilities(mobile),
    }


def _capabilities(mobile: bool) -> Json:
    return {"voice": True, "sms": mobile, "mms": False, "fax": False}
