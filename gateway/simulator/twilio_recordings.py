"""Recordings of calls at the simulated Twilio: begun and stopped by REST, reported, kept until they are deleted.

What is recorded is what the caller heard, in its time: the business's side of the call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from gateway.simulator import twilio_wire as wire
from gateway.simulator.twilio_answers import refusal
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.twilio_call_wire import SILENCE
from gateway.simulator.twilio_exchange import Exchange
from gateway.simulator.twilio_playout import BYTES_PER_MS, Heard
from gateway.simulator.twilio_wire import Form, Json
from gateway.simulator.wav import mulaw_wav


@dataclass(slots=True, kw_only=True)
class Recording:
    """A recording; `audio` is there once it has been stopped."""

    sid: str
    call: PlacedCall
    channels: str
    callback: str
    begins_ms: float
    state: str = "in-progress"
    ends_ms: float = 0.0
    audio: bytes = b""

    @property
    def duration_s(self) -> int:
        return max(1, round((self.ends_ms - self.begins_ms) / 1000))


class Recordings:
    """All recordings of the account; `live` finds a call that has not ended."""

    def __init__(self, exchange: Exchange, live: Callable[[str], PlacedCall | None]) -> None:
        self.kept: dict[str, Recording] = {}  # by sid
        self.deleted: list[str] = []
        self._exchange = exchange
        self._live = live

    def routes(self, account_path: str) -> list[web.RouteDef]:
        of_call = f"{account_path}/Calls/{{call_sid}}/Recordings"
        return [
            web.post(f"{of_call}.json", self._start),
            web.post(f"{of_call}/{{sid}}.json", self._change),
            web.get(f"{account_path}/Recordings/{{sid}}.json", self._show),
            web.get(f"{account_path}/Recordings/{{sid}}.wav", self._hand_out),
            web.delete(f"{account_path}/Recordings/{{sid}}.json", self._delete),
        ]

    def end_of(self, call: PlacedCall) -> None:
        """Stop whatever is still recorded of a call."""
        for recording in self.kept.values():
            if recording.call is call:
                self._stop(recording)

    async def _start(self, request: web.Request) -> web.Response:
        call = self._live(request.match_info["call_sid"])
        if call is None or call.answered_at is None:
            return refusal(21220)
        form = {name: str(value) for name, value in (await request.post()).items()}
        recording = Recording(
            sid=self._exchange.account.new_sid("RE"),
            call=call,
            channels={"dual": "2"}.get(form.get("RecordingChannels", "mono"), "1"),
            callback=form.get("RecordingStatusCallback", ""),
            begins_ms=call.now_ms(),
        )
        self.kept[recording.sid] = recording
        return web.json_response(self._resource(recording), status=201)

    async def _change(self, request: web.Request) -> web.Response:
        form = await request.post()
        recording = self.kept.get(request.match_info["sid"])
        if recording is None or recording.call.sid != request.match_info["call_sid"]:
            return refusal(20404, 404)
        if recording.state != "in-progress":
            return refusal(21220)
        if form.get("Status") == "stopped":
            self._stop(recording)
        return web.json_response(self._resource(recording))

    async def _show(self, request: web.Request) -> web.Response:
        recording = self.kept.get(request.match_info["sid"])
        return refusal(20404, 404) if recording is None else web.json_response(self._resource(recording))

    async def _hand_out(self, request: web.Request) -> web.Response:
        recording = self.kept.get(request.match_info["sid"])
        if recording is None or recording.state == "in-progress":
            return refusal(20404, 404)
        return web.Response(body=mulaw_wav(recording.audio), content_type="audio/x-wav")

    async def _delete(self, request: web.Request) -> web.Response:
        recording = self.kept.pop(request.match_info["sid"], None)
        if recording is None:
            return refusal(20404, 404)
        self.deleted.append(recording.sid)
        return web.Response(status=204)

    def _stop(self, recording: Recording) -> None:
        if recording.state != "in-progress":
            return
        recording.state, recording.ends_ms = "completed", recording.call.now_ms()
        recording.audio = _track(recording.call.heard, recording.begins_ms, recording.ends_ms)
        if recording.callback:
            self._exchange.post_status(recording.callback, self._form(recording))

    def _form(self, recording: Recording) -> Form:
        return [
            ("AccountSid", self._exchange.account.account_sid),
            ("CallSid", recording.call.sid),
            ("RecordingSid", recording.sid),
            ("RecordingUrl", self._url(recording)),
            ("RecordingStatus", recording.state),
            ("RecordingDuration", str(recording.duration_s)),
            ("RecordingChannels", recording.channels),
            ("RecordingSource", "StartCallRecordingAPI"),
        ]

    def _resource(self, recording: Recording) -> Json:
        done = recording.state == "completed"
        return {
            "sid": recording.sid,
            "account_sid": self._exchange.account.account_sid,
            "call_sid": recording.call.sid,
            "status": recording.state,
            "channels": int(recording.channels),
            "duration": str(recording.duration_s) if done else None,
            "source": "StartCallRecordingAPI",
            "media_url": self._url(recording),
        }

    def _url(self, recording: Recording) -> str:
        account = self._exchange.account
        return f"{account.url}/{wire.API_VERSION}/Accounts/{account.account_sid}/Recordings/{recording.sid}"


def _track(heard: Sequence[Heard], begins_ms: float, ends_ms: float) -> bytes:
    """Return what was heard between two moments, with silence where nothing was."""
    track = bytearray([SILENCE]) * int((ends_ms - begins_ms) * BYTES_PER_MS)
    for one in heard:
        at = int((one.begins_ms - begins_ms) * BYTES_PER_MS)
        audio = one.audio[max(0, -at) :]
        at = max(0, at)
        fits = audio[: max(0, len(track) - at)]
        track[at : at + len(fits)] = fits
    return bytes(track)
