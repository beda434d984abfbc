"""Somebody who calls a business: one number, and a phone."""

from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_call import PlacedCall


class Caller:
    """One caller of one business; `number` is E.164, "anonymous" if it is withheld."""

    def __init__(self, twilio: FakeTwilio, *, business: str, number: str) -> None:
        self.twilio = twilio
        self.business = business
        self.number = number

    async def call(self, *, playout_ms: float = 150.0, timeout_s: float = 15.0) -> PlacedCall:
        """Call, and wait until somebody listens, or the call has ended, or was forwarded. Raises TimeoutError."""
        call = self.dial(playout_ms=playout_ms)
        await call.wait_for_connection(timeout_s=timeout_s)
        return call

    def dial(self, *, playout_ms: float = 150.0) -> PlacedCall:
        """Call, and wait for nothing."""
        return self.twilio.calls.place(self.number, self.business, playout_ms=playout_ms)
