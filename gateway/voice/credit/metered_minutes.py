"""What a minute of a call is worth (pure): rates, tokens of audio, and what a hold pays.

The caller's audio counts 10 tokens a second, the agent's 20, so that a minute in which both always speak is what a
full hold covers. Amounts are millicredits.
"""

from dataclasses import dataclass
from typing import Final

MINUTE_MS: Final = 60_000
MS_PER_INPUT_TOKEN: Final = 100
MS_PER_OUTPUT_TOKEN: Final = 50
INPUT_TOKENS_MAX: Final = MINUTE_MS // MS_PER_INPUT_TOKEN  # of one minute
OUTPUT_TOKENS_MAX: Final = MINUTE_MS // MS_PER_OUTPUT_TOKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceRates:
    """Prices in millicredits: a started minute, a token of the caller's audio, a token of the agent's."""

    minute: int
    input_token: int
    output_token: int

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        """Return what tokens cost."""
        return input_tokens * self.input_token + output_tokens * self.output_token

    @property
    def audio_max(self) -> int:
        """What the audio of one minute can cost at most."""
        return self.cost(INPUT_TOKENS_MAX, OUTPUT_TOKENS_MAX)

    def pays_ms(self, millicredits: int) -> int:
        """Return for how long this pays if both always speak."""
        return max(0, millicredits) * MINUTE_MS // self.audio_max if self.audio_max else MINUTE_MS

    def split(self, millicredits: int, input_tokens: int, output_tokens: int) -> tuple[int, int]:
        """Return the tokens, of these and of one minute at most, that this pays: input first."""
        left = max(0, millicredits)
        paid_input = _affordable(left, self.input_token, min(input_tokens, INPUT_TOKENS_MAX))
        left -= paid_input * self.input_token
        return paid_input, _affordable(left, self.output_token, min(output_tokens, OUTPUT_TOKENS_MAX))


def _affordable(millicredits: int, unit: int, tokens: int) -> int:
    return min(tokens, millicredits // unit) if unit else tokens


@dataclass(frozen=True, slots=True)
class MinuteUsage:
    """The tokens that one minute's hold is captured for."""

    minute: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class AudioHold:
    """What is held for one minute's audio; `full`: for all that the minute can cost."""

    millicredits: int
    full: bool
