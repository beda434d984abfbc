"""Errors of the metering package, sorted by what the caller can do.

MeteringError
├── UnknownPriceError          something has no price: refuse the work, tell the operator
│   └── UnknownRateCardError   no rate card of that version, or none for that day
├── RateCardError              the operator must change the rate-card file; carries every problem found
├── PlansError                 the operator must change the plans file; carries every problem found
├── VolumeError                a volume to be priced has numbers that cannot be; carries every problem found
├── CreditsError               an amount of credits cannot be read; says how to write it
└── VocabularyError            tokens cannot be counted: the installation is damaged

A refusal by a wallet is no error but an outcome (`metering.operations`).
"""

from collections.abc import Sequence


class MeteringError(Exception):
    """Root of the tree."""


class UnknownPriceError(MeteringError):
    """Nothing is sold without a price: fail closed."""

    def __init__(self, item: str, version: str) -> None:
        super().__init__(f'rate card "{version}" has no price for {item}')
        self.item = item
        self.version = version


class UnknownRateCardError(UnknownPriceError):
    """There is no such rate card; `version` is the version or the day that was asked for."""

    def __init__(self, version: str) -> None:
        super().__init__("anything", version)
        self.args = (f'no rate card for "{version}"',)


class RateCardError(MeteringError):
    """The rate-card file does not hold together."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class PlansError(MeteringError):
    """The plans file does not hold together."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class VolumeError(MeteringError):
    """A volume to be priced that cannot be."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class CreditsError(MeteringError):
    """An amount of credits that cannot be read."""


class VocabularyError(MeteringError):
    """The installed token vocabulary is missing or is not what it should be."""
