"""What is true once a call is over, on whatever way it ended: nothing of it is left in the process, or held."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import PurePath

import gateway.voice
from gateway.limits import Limits
from gateway.voice.media.call import MediaCall
from tests.gateway.voice.caller import until
from tests.gateway.voice.live_engine import LiveEngine
from tests.gateway.voice.telephone import LIMITS, Telephone

Open = Callable[..., AbstractAsyncContextManager[Telephone]]
OURS = str(PurePath(gateway.voice.__file__ or "").parent)


@asynccontextmanager
async def watched(
    open_telephone: Open, engine: LiveEngine, limits: Limits = LIMITS, *, audited: bool = True
) -> AsyncIterator[Telephone]:
    """Open a telephone, and look that nothing is left of its calls; a wallet that was tampered with has no audit."""
    async with open_telephone(engines={"realtime": engine}, limits=limits) as opened:
        yield opened
        await nothing_is_left(opened, engine)
        if audited:
            await opened.audit()
    assert _working() == []


async def nothing_is_left(telephone: Telephone, engine: LiveEngine) -> None:
    await until(lambda: not len(telephone.services.live_calls))
    await until(lambda: all(session.closed for session in engine.sessions))
    assert not len(telephone.voice.waiting)
    await until(lambda: not _working() or bool(telephone.voice.forwards))
    if not await telephone.rows("SELECT FROM call WHERE ended_at IS NULL"):
        assert (await telephone.wallet())[1] == 0


def _working() -> Sequence[str]:
    """Return the tasks that run code of ours and nobody else's."""
    found = []
    for task in asyncio.all_tasks():
        work = task.get_coro()
        if inspect.iscoroutine(work) and work.cr_code.co_filename.startswith(OURS):
            found.append(work.__qualname__)
    return found


async def over(telephone: Telephone) -> None:
    """Wait until the call has ended in the rows."""

    async def ended() -> bool:
        return (await telephone.call())["ended_at"] is not None

    await telephone.until(ended)


def live(telephone: Telephone) -> MediaCall:
    """Return the one call that is pumped."""
    [call] = telephone.services.live_calls.calls.values()
    assert isinstance(call, MediaCall)
    return call
