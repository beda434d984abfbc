"""The owner's API: phone calls, what they cost so far, and where they stand."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from gateway.api.call import NOT_FOUND, AnyRoute, Call, Nothing, Route, Told, not_found
from gateway.api.paging import Listed, Page, moment_cursor, next_page, parse_moment_cursor
from gateway.conversations import Cursor
from gateway.services import Services
from gateway.voice.call_views import CallView, list_calls, list_legs, read_call


class Recording(Told):
    """Whether a call was recorded: only after the caller's yes, given at `consent_at`."""

    state: Literal["none", "asked", "refused", "running", "stored", "failed"]
    duration_s: int | None
    consent_at: datetime | None


class LiveFigures(Told):
    """The meter of a call that is going on: charged already, and used since within what is held."""

    seconds: float
    minutes_charged: int
    input_tokens: int
    output_tokens: int
    charged_millicredits: int
    unsettled_millicredits: int
    held_millicredits: int
    state: str


class PhoneCall(Told):
    """One phone call. `caller` is null if the number was withheld.

    `minutes_charged` and tokens are what is settled, on the caller's leg; `charged_millicredits` is all that was
    charged for the call, legs included, refunds taken off. `live` is null unless the call goes on in the process that
    answers this request.
    """

    id: UUID = Field(validation_alias="call_id")
    conversation_id: UUID
    line_id: UUID
    contact_id: UUID
    contact_name: str
    caller: str | None
    agent_id: UUID
    agent_version: int
    engine: str
    state: Literal["offered", "live", "forwarding", "away", "ended", "declined"]
    end_reason: str | None
    offered_at: datetime
    stream_started_at: datetime | None
    ended_at: datetime | None
    duration_s: int | None
    minutes_charged: int
    input_tokens: int
    output_tokens: int
    charged_millicredits: int
    recording: Recording
    live: LiveFigures | None


class CallPage(Listed[PhoneCall]):
    """Phone calls, the newest first."""


class Leg(Told):
    """A person whom the call was put through to; `outcome` is null while it is not over."""

    leg: int
    state: Literal["dialling", "answered", "ended"]
    outcome: str | None
    minutes_charged: int
    dialled_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    duration_s: int | None


class WholePhoneCall(PhoneCall):
    """A phone call with its legs, and how it went: latencies in milliseconds, and counts."""

    legs: list[Leg]
    figures: dict[str, Any]


class CallsQuery(Page):
    """All calls, or those of one conversation."""

    conversation_id: UUID | None = None


async def list_phone_calls(call: Call[CallsQuery, Nothing]) -> CallPage:
    after = parse_moment_cursor(call.query.cursor)
    async with call.services.db.transaction(call.tenant_id) as connection:
        rows = await list_calls(
            connection,
            call.tenant_id,
            limit=call.query.limit + 1,
            after=Cursor(at=after[0], id=after[1]) if after else None,
            conversation_id=call.query.conversation_id,
        )
    page, cursor = next_page(rows, call.query.limit, lambda row: moment_cursor(row.offered_at, row.call_id))
    return CallPage(items=[PhoneCall(**told_call(call.services, row)) for row in page], next_cursor=cursor)


async def show_phone_call(call: Call[Nothing, Nothing]) -> WholePhoneCall:
    async with call.services.db.transaction(call.tenant_id) as connection:
        view = await read_call(connection, call.tenant_id, call.id("call_id"))
        if view is None:
            raise not_found()
        legs = await list_legs(connection, call.tenant_id, view.call_id)
    return WholePhoneCall(
        **told_call(call.services, view),
        legs=[Leg.model_validate(leg) for leg in legs],
        figures=dict(view.figures),
    )


def told_call(services: Services, view: CallView) -> dict[str, Any]:
    """Return a call's fields as `PhoneCall` takes them, with the meter as it stands if the call is live here."""
    live = services.live_calls.calls.get(view.call_id)
    return {
        **{name: getattr(view, name) for name in PhoneCall.model_fields if hasattr(view, name)},
        "id": view.call_id,
        "recording": Recording(
            state=view.recording,
            duration_s=view.recording_duration_s,
            consent_at=view.recording_consent_at,
        ),
        "live": None if live is None else LiveFigures.model_validate(live.figures()),
    }


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/calls",
        summary="List phone calls",
        handler=list_phone_calls,
        query=CallsQuery,
        body=Nothing,
        told=CallPage,
    ),
    Route(
        method="GET",
        path="/calls/{call_id}",
        summary="Show a phone call with its legs",
        handler=show_phone_call,
        query=Nothing,
        body=Nothing,
        told=WholePhoneCall,
        refusals=(NOT_FOUND,),
    ),
)
