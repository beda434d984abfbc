"""Errors of the agents package, sorted by what the caller can do.

AgentsError
├── ConfigurationError        the owner must change the agent; carries every problem found
├── ModelError                a model did not answer
│   ├── ModelUnavailableError time-out, connect error, 429, 5xx: another try or another model may help
│   └── ModelRefusedError     4xx: the request or the key is wrong; only another model may help
├── NoAnswerError             every try at every model failed, or the answer stayed empty
└── ToolFailedError           a tool cannot do what was asked; the model is told the reason
"""

from collections.abc import Mapping, Sequence


class AgentsError(Exception):
    """Root of the tree."""


class ConfigurationError(AgentsError):
    """An agent's configuration does not hold together."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class ModelError(AgentsError):
    """A model did not answer; `reason` is ours, never the provider's words, which may quote the request."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ModelUnavailableError(ModelError):
    """It may answer later, `retry_after_s` if it said when, or another model may."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class ModelRefusedError(ModelError):
    """It will not answer this request."""


class NoAnswerError(AgentsError):
    """Nothing was left to try. `attempts` is what was, `wrote` whether a tool has changed something by then."""

    def __init__(self, attempts: Sequence[Mapping[str, object]] = (), *, wrote: bool = False) -> None:
        super().__init__(f"no model answered in {len(attempts)} attempts")
        self.attempts = tuple(attempts)
        self.wrote = wrote


class ToolFailedError(AgentsError):
    """A tool cannot do what was asked; the text is for the model."""
