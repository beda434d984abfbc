"""Files that customers send: at Twilio behind its password, which sends the reader on to a store without one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from gateway.simulator import twilio_wire as wire
from gateway.simulator.twilio_account import TwilioAccount
from gateway.simulator.twilio_answers import refusal

STORE_PATH = "/cdn"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that a customer sent."""

    mime_type: str
    content: bytes = field(repr=False)


class MediaShelf:
    """Keeps files and hands them out."""

    def __init__(self, account: TwilioAccount) -> None:
        self._account = account
        self._files: dict[str, File] = {}

    def add(self, message_sid: str, content: bytes, mime_type: str) -> str:
        """Keep a file; return the address that the webhook names."""
        sid = self._account.new_sid("ME")
        self._files[sid] = File(mime_type=mime_type, content=content)
        account = f"/{wire.API_VERSION}/Accounts/{self._account.account_sid}"
        return f"{self._account.url}{account}/Messages/{message_sid}/Media/{sid}"

    def routes(self, account_path: str) -> list[web.RouteDef]:
        return [
            web.get(f"{account_path}/Messages/{{message_sid}}/Media/{{sid}}", self._send_on),
            web.get(f"{STORE_PATH}/{{sid}}", self._hand_out),
        ]

    async def _send_on(self, request: web.Request) -> web.Response:
        sid = request.match_info["sid"]
        if sid not in self._files or self._account.faults.media_missing:
            return refusal(20404, 404)
        return web.Response(status=307, headers={"Location": f"{self._account.url}{STORE_PATH}/{sid}"})

    async def _hand_out(self, request: web.Request) -> web.Response:
        """Hand a file out; a store of signed addresses refuses who shows a password as well."""
        if "Authorization" in request.headers:
            return web.Response(status=400, text="Only one auth mechanism allowed")
        file = self._files[request.match_info["sid"]]
        headers: Mapping[str, str] = {"Content-Type": file.mime_type}
        return web.Response(body=file.content, headers=headers)
