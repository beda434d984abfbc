"""A forwarded call as its process knows it: counted, shown with what it costs, and ended on demand like any other."""

from collections.abc import Callable
from uuid import UUID

from gateway.live_calls import CallFigures
from gateway.services import Services
from gateway.voice.call import Call
from gateway.voice.credit.minutes import rates_for
from gateway.voice.legs.leg_store import LegRow

FORWARDED = "forwarded"


class ForwardedCall:
    """One call that a person is dialled for or has. `row` is how its watch has last seen it."""

    def __init__(
        self, services: Services, call: Call, row: LegRow, *, on_move: Callable[[], None], on_end: Callable[[], None]
    ) -> None:
        self._services = services
        self._call = call
        self._on_move = on_move
        self._on_end = on_end
        self.row = row
        self.minutes_held = 0

    @property
    def tenant_id(self) -> UUID:
        return self._call.tenant_id

    @property
    def call_id(self) -> UUID:
        return self._call.call_id

    def figures(self) -> CallFigures:
        """Return what both legs were charged so far, and what the agent was before; of the agent nothing is open."""
        row, rates = self.row, rates_for(self._services, self._call.account)
        began_at = row.call_began_at or row.dialled_at
        minutes = row.call_minutes_charged + row.minutes_charged
        return CallFigures(
            seconds=max(0.0, (self._services.now() - began_at).total_seconds()),
            minutes_charged=minutes,
            input_tokens=row.call_input_tokens,
            output_tokens=row.call_output_tokens,
            charged_millicredits=minutes * rates.minute + rates.cost(row.call_input_tokens, row.call_output_tokens),
            unsettled_millicredits=0,
            held_millicredits=self.minutes_held * rates.minute,
            state=FORWARDED,
        )

    def move(self) -> None:
        """Leave it to another process to watch; the two talk on by way of Twilio."""
        self._on_move()

    def end(self, reason: str) -> None:
        """Hang up; there is nobody of ours to say goodbye."""
        del reason
        self._on_end()
