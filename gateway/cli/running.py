"""Running a command's work: with everything wired, beside a server or alone; errors become exit codes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from agents.errors import AgentsError, ConfigurationError
from gateway.cli.output import print_error
from gateway.errors import BadInputError, SettingsError, TurnmeterError
from metering.errors import CreditsError, MeteringError, PlansError, RateCardError, VolumeError

if TYPE_CHECKING:
    from gateway.services import Services
    from gateway.settings import Settings

BAD_INPUT = 2
FAILURE = 1
_Result = TypeVar("_Result")


def with_services(work: "Callable[[Services], Awaitable[_Result]]") -> _Result:
    """Do a command's work with the database open: the running server's, or one started for as long as this takes."""
    from gateway.app import open_services  # noqa: PLC0415 - heavy, and not needed for --help

    async def run(settings: "Settings") -> _Result:
        async with open_services(settings) as services:
            return await work(services)

    return with_settings(run)


def with_settings(work: "Callable[[Settings], Awaitable[_Result]]") -> _Result:
    """Do a command's work with the environment read; a database that cannot be used is a failure in one sentence."""
    import logging  # noqa: PLC0415 - not needed for --help

    from asyncpg import exceptions as refusals  # noqa: PLC0415 - see above

    from gateway.logs import configure_logs  # noqa: PLC0415 - see above
    from gateway.settings import load_settings  # noqa: PLC0415 - see above

    configure_logs(level=logging.WARNING)
    try:
        return asyncio.run(_await(work(load_settings())))
    except (
        refusals.PostgresConnectionError,
        refusals.InvalidAuthorizationSpecificationError,
        refusals.InvalidCatalogNameError,
        refusals.InsufficientPrivilegeError,
        refusals.CannotConnectNowError,
        refusals.TooManyConnectionsError,
    ) as error:
        raise TurnmeterError(f"the database cannot be used: {error.args[0]}") from error


async def _await(work: Awaitable[_Result]) -> _Result:
    return await work


def exit_code_of(command: Callable[[], object]) -> int:
    """Run a command; print what went wrong to stderr and return the exit code for it."""
    try:
        command()
    except (ConfigurationError, PlansError, RateCardError, VolumeError) as error:
        for problem in error.problems:
            print_error(problem)
        return BAD_INPUT
    except (BadInputError, CreditsError, SettingsError) as error:
        for problem in str(error).splitlines():
            print_error(problem)
        return BAD_INPUT
    except (TurnmeterError, AgentsError, MeteringError) as error:
        print_error(str(error))
        return FAILURE
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # whoever read the output has seen enough
            return FAILURE
        print_error(f"{type(error).__name__}: {error}")
        return FAILURE
    return 0
