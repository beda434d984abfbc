"""What is kept in numbers of what happens in a call by text."""

import structlog

from gateway.voice.engines import conversation_relay_wire as wire
from gateway.voice.relay.signals import RelayTold
from gateway.voice.talk.course import Course

log = structlog.get_logger(__name__)


def note(course: Course, told: RelayTold, now_ms: int, *, call_id: str) -> None:
    """Count what was told; what Twilio objects to, or nobody understands, is logged without its words."""
    match told:
        case wire.Prompted(is_final=True):
            course.caller_stopped(now_ms)
        case wire.Interrupted():
            course.barge_ins += 1
        case wire.Refused():
            course.troubles["message_refused" if told.names_message else "error"] += 1
            log.warning("relay_objects", call_id=call_id, about_message=told.names_message)
        case wire.Malformed(reason=reason):
            course.troubles["malformed"] += 1
            log.warning("relay_frame_malformed", call_id=call_id, reason=reason)
        case _:
            pass
