"""What a call has used, and how much of it is settled (pure).

Audio counts by its length over the whole call, so that nothing is lost between its pieces; a text engine's words count
by their tokens.
"""

from dataclasses import dataclass

from gateway.voice.credit.metered_minutes import (
    INPUT_TOKENS_MAX,
    MS_PER_INPUT_TOKEN,
    MS_PER_OUTPUT_TOKEN,
    OUTPUT_TOKENS_MAX,
    VoiceRates,
)


@dataclass(slots=True)
class Tally:
    """One call's use. Lengths in milliseconds, amounts in millicredits; what is settled counts in tokens."""

    caller_ms: int = 0
    agent_ms: int = 0
    read_tokens: int = 0
    spoken_tokens: int = 0
    settled_input: int = 0
    settled_output: int = 0

    @property
    def input_tokens(self) -> int:
        return self.caller_ms // MS_PER_INPUT_TOKEN + self.read_tokens

    @property
    def output_tokens(self) -> int:
        return self.agent_ms // MS_PER_OUTPUT_TOKEN + self.spoken_tokens

    @property
    def settled(self) -> tuple[int, int]:
        return self.settled_input, self.settled_output

    def unsettled(self) -> tuple[int, int]:
        """Return the tokens of input and output that no minute was settled for."""
        return self.input_tokens - self.settled_input, self.output_tokens - self.settled_output

    def to_settle(self, rates: VoiceRates, held: int) -> tuple[int, int]:
        """Return the tokens of these that a minute's hold pays, and a minute can have; input first."""
        return rates.split(held, *self.unsettled())

    def settle(self, rates: VoiceRates, held: int) -> tuple[int, int]:
        """Settle what a minute's hold pays; return its tokens."""
        input_tokens, output_tokens = self.to_settle(rates, held)
        self.settled_input += input_tokens
        self.settled_output += output_tokens
        return input_tokens, output_tokens

    def left(self, rates: VoiceRates, held: int) -> int:
        """Return what a minute's hold pays beyond what is unsettled; below zero if it does not pay that."""
        return held - rates.cost(*self.unsettled())

    def pays_ms(self, rates: VoiceRates, held: int) -> int:
        """Return for how long a minute's hold still pays if both always speak."""
        return rates.pays_ms(self.left(rates, held))

    def room(self, rates: VoiceRates, held: int) -> tuple[int, int]:
        """Return the tokens of input and output that a minute's hold still pays, both together."""
        left = self.left(rates, held)
        input_used, output_used = self.unsettled()
        output_room = self.pays_ms(rates, held) // MS_PER_OUTPUT_TOKEN
        output_room = max(0, min(OUTPUT_TOKENS_MAX - output_used, output_room))
        left -= output_room * rates.output_token
        input_room, _ = rates.split(left, max(0, INPUT_TOKENS_MAX - input_used), 0)
        return input_room, output_room
