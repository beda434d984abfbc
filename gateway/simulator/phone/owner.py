"""What the owner's API tells about one customer's conversation: the page shows nothing else of the gateway."""

from collections.abc import Mapping
from typing import Any

import aiohttp

RECEIPTS = 7


class OwnerApi:
    """The gateway's JSON API, with the salon's own key."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self._http = http
        self._url = f"{url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}

    async def look(self, number: str, channel: str) -> Mapping[str, Any]:
        """Return balance, conversation and its receipts (newest first). Raises aiohttp.ClientError."""
        balance = await self._get("/balance")
        conversation_id = await self._conversation_id(number, channel)
        if conversation_id is None:
            return {"balance": balance, "conversation": None, "receipts": []}
        conversation = await self._get(f"/conversations/{conversation_id}")
        receipts = await self._get(f"/receipts?conversation_id={conversation_id}&limit={RECEIPTS}")
        calls = await self._get(f"/calls?conversation_id={conversation_id}&limit=1") if channel == "voice" else None
        kept = ("window", "mode", "waiting_for", "pending_since", "opted_out", "charged_millicredits")
        return {
            "balance": balance,
            "conversation": {name: conversation[name] for name in kept},
            "messages": conversation["messages"],
            "receipts": receipts["items"],
            "call": calls["items"][0] if calls and calls["items"] else None,
        }

    async def give_back(self, number: str, channel: str) -> None:
        """Let the agent answer again. Raises aiohttp.ClientError."""
        conversation_id = await self._conversation_id(number, channel)
        if conversation_id is not None:
            url = f"{self._url}/conversations/{conversation_id}/give-back"
            async with self._http.post(url, headers=self._headers) as response:
                response.raise_for_status()

    async def _conversation_id(self, number: str, channel: str) -> str | None:
        listed = await self._get("/conversations")
        theirs = (
            one["id"]
            for one in listed["items"]
            if (one["channel"], one["contact"]["address"].lstrip("+")) == (channel, number.lstrip("+"))
        )
        return next(theirs, None)

    async def _get(self, path: str) -> Mapping[str, Any]:
        async with self._http.get(self._url + path, headers=self._headers) as response:
            response.raise_for_status()
            answered: Mapping[str, Any] = await response.json()
            return answered
