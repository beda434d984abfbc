"""Errors of the agents package, sorted by what the caller can do.

AgentsError
├── ConfigurationError        the owner must change the agent; carries every problem found
├── ModelError                a model did not answer
│   ├── ModelUnavailableError time-out, connect error, 429, 5xx: another try or another model may help
│   └── ModelRefusedError     4xx: the request or the key is wrong; trying again will not help
├── NoAnswerError             every try at every model failed, or the answer stayed empty
└── ToolFailedError           a tool cannot do what was asked; the model is told the reason
"""

from collections.abc import Sequence


class AgentsError(Exception):
    """Root of the tree."""


class ConfigurationError(AgentsError):
    """An agent's configuration does not hold together."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class ModelError(AgentsError):
    """A model did not answer."""


class ModelUnavailableError(ModelError):
    """It may answer later, or another model may."""


class ModelRefusedError(ModelError):
    """It will not answer this request."""


class NoAnswerError(AgentsError):
    """Nothing was left to try."""


class ToolFailedError(AgentsError):
    """A tool cannot do what was asked; the text is for the model."""
