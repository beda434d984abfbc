"""Twilio's own limit on a call: what ends it if every process of ours is gone.

Never what ends a call that is being paid: it allows all minutes that the wallet could begin, were nobody to speak, and
is set anew as they change.
"""

from typing import Final

import structlog

from gateway.services import Services
from gateway.twilio import calls
from gateway.voice.call import Call
from gateway.voice.call_credit import affordable_forward_minutes

GRACE_S: Final = 60  # for the goodbye, and for what is held beside what is available

log = structlog.get_logger(__name__)


def limit_s(*, elapsed_s: int, affordable_minutes: int, max_minutes: int) -> int:
    """Return how many seconds after its beginning a call is to end: what can be paid, or what is allowed (pure)."""
    running = elapsed_s // 60 + 1  # minutes that have begun are paid
    return min(running + affordable_minutes, max_minutes) * 60 + GRACE_S


async def set_limit(services: Services, call: Call, *, elapsed_s: int) -> bool:
    """Let Twilio end the call when it can no longer be paid, or has lasted as long as its owner allows.

    To be called when its stream begins, and after credits were granted. Returns whether Twilio has taken it; a call
    without such a limit goes on all the same.
    """
    if services.twilio is None:
        return False
    affordable = await affordable_forward_minutes(services, call.account, legs=1)
    at_s = limit_s(
        elapsed_s=elapsed_s,
        affordable_minutes=affordable,
        max_minutes=call.configuration.voice.max_minutes,
    )
    answer = await calls.limit(services.twilio, call.call_sid, at_s)
    if not calls.is_done(answer):
        log.warning("time_limit_not_set", call_id=str(call.call_id), outcome=type(answer).__name__)
        return False
    return True
