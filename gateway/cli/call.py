"""`call list|show`: a tenant's phone calls."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from gateway.cli.output import print_json, print_table
from gateway.errors import BadInputError
from gateway.services import Services
from gateway.tenants import Tenant, find_tenant
from gateway.voice import call_views
from gateway.voice.call_views import CallView, LegView
from metering.credits import format_credits

_WITHHELD = "withheld"


async def list_all(services: Services, name_or_id: str, *, limit: int, as_json: bool) -> None:
    tenant = await _tenant(services, name_or_id)
    async with services.db.transaction(tenant.tenant_id) as connection:
        calls = await call_views.list_calls(connection, tenant.tenant_id, limit=limit)
    if as_json:
        print_json({"items": [_document(call) for call in calls]})
        return
    rows = [
        (
            str(call.call_id),
            _when(tenant, call.offered_at),
            call.caller or _WITHHELD,
            call.our_number,
            call.state if call.end_reason is None else f"{call.state} ({call.end_reason})",
            str(call.minutes_charged),
            format_credits(call.charged_millicredits, tenant.locale),
        )
        for call in calls
    ]
    headings = ("Id", "Came in", "From", "To", "State", "Minutes", "Credits")
    print_table(headings, rows, right=("Minutes", "Credits"))


async def show(services: Services, name_or_id: str, call_id: str, *, as_json: bool) -> None:
    tenant = await _tenant(services, name_or_id)
    wanted = _call_id(call_id)
    async with services.db.transaction(tenant.tenant_id) as connection:
        call = await call_views.read_call(connection, tenant.tenant_id, wanted)
        if call is None:
            raise BadInputError(f'there is no call {wanted}; `turnmeter call list "{tenant.name}"` shows them')
        legs = await call_views.list_legs(connection, tenant.tenant_id, wanted)
    if as_json:
        print_json({**_document(call), "legs": [asdict(leg) for leg in legs]})
        return
    for name, value in _facts(tenant, call):
        print(f"{name:<12}{value}")
    if legs:
        print_table(("Leg", "State", "Dialled", "Answered", "Minutes"), _leg_rows(tenant, legs), right=("Minutes",))
    for heading, figures in (("Figure", call.figures), ("The engine's own count", call.provider_usage)):
        if figures:
            print_table((heading, ""), [(name, str(value)) for name, value in _flat(figures)])


def _facts(tenant: Tenant, call: CallView) -> Sequence[tuple[str, str]]:
    return (
        ("State", call.state if call.end_reason is None else f"{call.state} ({call.end_reason})"),
        ("From", f"{call.caller or _WITHHELD}{f', {call.contact_name}' if call.contact_name else ''}"),
        ("To", call.our_number),
        ("Came in", _when(tenant, call.offered_at)),
        ("Stream", _when(tenant, call.stream_started_at) or "none"),
        ("Ended", _when(tenant, call.ended_at) or "not yet"),
        ("Duration", "" if call.duration_s is None else f"{call.duration_s} s"),
        ("Minutes", str(call.minutes_charged)),
        ("Tokens", f"{call.input_tokens} in, {call.output_tokens} out"),
        ("Credits", format_credits(call.charged_millicredits, tenant.locale)),
        ("Recording", call.recording),
    )


def _leg_rows(tenant: Tenant, legs: Sequence[LegView]) -> list[tuple[str, ...]]:
    return [
        (
            str(leg.leg),
            leg.state if leg.outcome is None else f"{leg.state} ({leg.outcome})",
            _when(tenant, leg.dialled_at),
            _when(tenant, leg.answered_at),
            str(leg.minutes_charged),
        )
        for leg in legs
    ]


def _flat(figures: Mapping[str, object], place: str = "") -> list[tuple[str, object]]:
    """Return figures one a row, inner ones named by their way down."""
    rows: list[tuple[str, object]] = []
    for name, value in figures.items():
        rows += _flat(value, f"{place}{name}.") if isinstance(value, Mapping) else [(f"{place}{name}", value)]
    return rows


def _document(call: CallView) -> dict[str, object]:
    """Call the row's own id `id`, as the API does."""
    return {"id" if name == "call_id" else name: value for name, value in asdict(call).items()}


async def _tenant(services: Services, name_or_id: str) -> Tenant:
    async with services.db.directory() as connection:
        return await find_tenant(connection, name_or_id)


def _call_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise BadInputError("that is not the id of a call; `turnmeter call list` shows them") from None


def _when(tenant: Tenant, moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(tenant.zone):%Y-%m-%d %H:%M:%S}"
