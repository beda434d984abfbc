"""What a call by text pays: words as tiktoken counts them, at the prices of voice, within what a minute holds."""

from collections.abc import Callable, Mapping

from gateway.services import Services
from gateway.voice.call import Call
from gateway.voice.credit.opening_meter import Paid
from gateway.voice.credit.stream_money import StreamMoney
from gateway.voice.relay.text import spoken_ms


class RelayMoney(StreamMoney):
    """Counts what is read and what is said aloud."""

    def __init__(
        self,
        services: Services,
        call: Call,
        paid: Paid,
        *,
        zero_ms: int,
        now_ms: Callable[[], int],
        take_usage: Callable[[], Mapping[str, object]],
        answered: Callable[[], None],
        minute_held: Callable[[int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(
            services,
            call,
            paid,
            count="text",
            notice_ms=spoken_ms(call.configuration.voice.credits_end_text),
            zero_ms=zero_ms,
            now_ms=now_ms,
            take_usage=take_usage,
            answered=answered,
            minute_held=minute_held,
            failed=failed,
        )
        self._count = services.count_tokens

    def room_tokens(self) -> int:
        """Return how many of the agent's words this minute still pays."""
        return self.meter.room_tokens()[1]

    def read(self, text: str) -> None:
        """Count words of the caller."""
        self.meter.read_tokens(self._count(text))

    def spoke(self, text: str) -> None:
        """Count words of the agent that were heard."""
        self.meter.spoke_tokens(self._count(text))
