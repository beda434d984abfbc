"""Twilio's running calls: ended, sent elsewhere, limited, recorded. Every request is one that may be repeated."""

from typing import Final

from gateway.twilio.rest import Accepted, Answer, Form, Refused, TwilioRest

NOT_FOUND: Final = 20404
NOT_IN_PROGRESS: Final = 21220
RECORDING_EVENTS: Final = "completed absent"  # absent: nothing was recorded
FINAL: Final = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})  # a call's last words


async def hang_up(rest: TwilioRest, call_sid: str) -> Answer:
    return await _update(rest, call_sid, [("Status", "completed")])


async def redirect(rest: TwilioRest, call_sid: str, twiml: str) -> Answer:
    """Let a call go on with another document; its stream, if it has one, ends."""
    return await _update(rest, call_sid, [("Twiml", twiml)])


async def limit(rest: TwilioRest, call_sid: str, time_limit_s: int) -> Answer:
    """Let Twilio itself end a call so many seconds after its beginning, whatever has become of us."""
    return await _update(rest, call_sid, [("TimeLimit", str(time_limit_s))])


async def show(rest: TwilioRest, call_sid: str) -> Answer:
    """Ask how a call, or a person's leg of one, stands (`ended_as`, `lasted_s`)."""
    return await rest.get(f"Calls/{call_sid}.json")


async def start_recording(rest: TwilioRest, call_sid: str, callback: str) -> Answer:
    """Record a call from now on, each side on a track of its own; the end is told to `callback`."""
    form: Form = [
        ("RecordingChannels", "dual"),
        ("RecordingStatusCallback", callback),
        ("RecordingStatusCallbackEvent", RECORDING_EVENTS),
        ("RecordingStatusCallbackMethod", "POST"),
    ]
    return await rest.post(f"Calls/{call_sid}/Recordings.json", form)


async def stop_recording(rest: TwilioRest, call_sid: str, recording_sid: str) -> Answer:
    return await rest.post(f"Calls/{call_sid}/Recordings/{recording_sid}.json", [("Status", "stopped")])


async def delete_recording(rest: TwilioRest, recording_sid: str) -> Answer:
    return await rest.delete(f"Recordings/{recording_sid}.json")


def is_over(answer: Answer) -> bool:
    """Return whether Twilio refused something because the call, or the recording, is no more (pure)."""
    match answer:
        case Refused(code, status):
            return code in (NOT_FOUND, NOT_IN_PROGRESS) or (code is None and status == 404)
        case _:
            return False


def is_done(answer: Answer) -> bool:
    """Return whether what was asked is so now, by us or because there was nothing left to do (pure)."""
    return isinstance(answer, Accepted) or is_over(answer)


def ended_as(answer: Answer) -> str | None:
    """Return the last word for a call that was asked about; None if it goes on, or nobody knows (pure)."""
    status = answer.body.get("status") if isinstance(answer, Accepted) else None
    if isinstance(status, str) and status in FINAL:
        return status
    return "completed" if is_over(answer) else None


def lasted_s(answer: Answer) -> int | None:
    """Return how long a call was that was asked about, once that is known (pure)."""
    duration = answer.body.get("duration") if isinstance(answer, Accepted) else None
    return int(duration) if isinstance(duration, str) and duration.isascii() and duration.isdecimal() else None


def sid_of(answer: Answer) -> str | None:
    """Return what Twilio calls the thing it made (pure)."""
    sid = answer.body.get("sid") if isinstance(answer, Accepted) else None
    return sid if isinstance(sid, str) and sid else None


async def _update(rest: TwilioRest, call_sid: str, form: Form) -> Answer:
    return await rest.post(f"Calls/{call_sid}.json", form)
