"""A salon whose calls a speech model answers, and what the stories about them have in common."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.simulator.openai_realtime import FakeRealtime
from gateway.simulator.realtime_mind import Action, Script
from gateway.simulator.realtime_session import RealtimeSession
from gateway.simulator.speech import spoken
from gateway.simulator.twilio_call import PlacedCall
from gateway.voice.notices import prepare_published
from tests.stories.world import QUICK, SALON, World, opened, until

CALLER = "+491700000101"
GREETING = "Hallo, hier ist die KI vom Salon."
FEE, INPUT, OUTPUT = 95_000, 295, 590  # millicredits: a started minute, a token of the caller's audio, of the agent's
SPEAKS = spoken("Guten Tag!", "de")


@dataclass
class Telephone:
    """A world whose salon is called, and the speech model that answers."""

    world: World
    realtime: FakeRealtime

    async def ring(self, *, greeted: bool = True) -> PlacedCall:
        """Call the salon, and listen to its greeting."""
        call = self.world.twilio.calls.place(CALLER, self.world.salon.business.display_number)
        await call.wait_for_connection()
        if greeted:
            await self.listening(answers=1)
        return call

    async def say(self, call: PlacedCall, text: str) -> None:
        """Speak, and be understood."""
        self.realtime.caller_says(None, text)
        await call.speak(SPEAKS)

    async def listening(self, *, answers: int) -> RealtimeSession:
        """Wait until so many answers were given in the newest session, and the last one was heard to its end."""
        session = self.realtime.sessions[-1] if self.realtime.sessions else await self.realtime.session()

        async def listens() -> bool:
            done = sum(answer.status != "in_progress" for answer in session.answers)
            states = [live.figures().state for live in self.world.services.live_calls.calls.values()]
            return done >= answers and states == ["listening"]

        await until(listens, timeout_s=30)
        return session

    async def over(self, call: PlacedCall, *, timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait until a call has ended and is settled; return its row. Nothing of it is left."""
        await call.wait_for_end(timeout_s=timeout_s)
        await self.world.quiet()

        async def left() -> bool:
            return not self.world.services.live_calls.calls and self.realtime.connections == 0

        await until(left)
        [row] = await self.world.rows("SELECT * FROM call WHERE call_sid = $1", call.sid)
        assert row["state"] == "ended", row["state"]
        assert not call.warnings
        return dict(row)

    async def speeches(self) -> list[tuple[str, str]]:
        """Return who said what, as the transcript has it."""
        rows = await self.world.rows("SELECT author, text FROM message WHERE kind = 'speech' ORDER BY created_at")
        return [(str(row["author"]), str(row["text"])) for row in rows]


def cost(row: dict[str, Any]) -> int:
    """Return what a call costs by its row."""
    return int(row["minutes_charged"] * FEE + row["input_tokens"] * INPUT + row["output_tokens"] * OUTPUT)


@contextlib.asynccontextmanager
async def opened_telephone(
    database_url: str,
    folder: Path,
    *answers: str | Action | tuple[Action, ...],
    voice: tuple[str, ...] = (),
    amount_credits: int = 10_000,
    **limits: Any,  # noqa: ANN401 - of any type
) -> AsyncIterator[Telephone]:
    """Open a salon whose agent greets, and then answers by the script."""
    realtime = FakeRealtime(Script(GREETING, *answers))
    lines = "\n".join(["[agent.voice]", *voice])
    file = SALON.replace("Hallo, hier ist die digitale Assistentin (KI) vom Salon Lindenhof.", GREETING)
    async with realtime.running() as url:
        quick = replace(QUICK, **limits)
        async with opened(database_url, folder, limits=quick, realtime_url=url) as world:
            salon = await world.add_salon(
                "Salon Lindenhof",
                amount_credits=amount_credits,
                file=file.replace("[agent.hours]", f"{lines}\n[agent.hours]"),
            )
            [agent] = await world.rows("SELECT agent_id FROM agent")
            await prepare_published(world.services, world.services.speaker, salon.tenant_id, agent["agent_id"])  # type: ignore[arg-type]  # a UUID
            yield Telephone(world, realtime)
            await world.audit()
