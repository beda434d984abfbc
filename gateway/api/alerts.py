"""The owner's API: what the owner should know of."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from gateway import alerts
from gateway.api.call import NOT_FOUND, AnyRoute, Call, Nothing, Route, Told, not_found
from gateway.api.paging import Listed, Page, id_cursor, next_page, parse_id_cursor


class Alert(Told):
    """One thing to know of; `detail` holds ids and codes."""

    id: UUID = Field(validation_alias="alert_id")
    kind: str
    detail: dict[str, Any]
    created_at: datetime
    acknowledged_at: datetime | None


class AlertPage(Listed[Alert]):
    """Alerts, newest first."""


class AlertQuery(Page):
    """A page of all alerts, or of those not acknowledged yet."""

    open_only: bool = False


async def list_alerts(call: Call[AlertQuery, Nothing]) -> AlertPage:
    query = call.query
    async with call.services.db.transaction(call.tenant_id) as connection:
        rows = await alerts.list_alerts(
            connection,
            call.tenant_id,
            limit=query.limit + 1,
            before=parse_id_cursor(query.cursor),
            open_only=query.open_only,
        )
    page, cursor = next_page(rows, query.limit, lambda row: id_cursor(row.alert_id))
    return AlertPage(items=[Alert.model_validate(row) for row in page], next_cursor=cursor)


async def acknowledge(call: Call[Nothing, Nothing]) -> None:
    async with call.services.db.transaction(call.tenant_id) as connection:
        known = await alerts.acknowledge(connection, call.tenant_id, call.id("alert_id"), now=call.services.now())
    if not known:
        raise not_found()


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/alerts",
        summary="List alerts",
        handler=list_alerts,
        query=AlertQuery,
        body=Nothing,
        told=AlertPage,
    ),
    Route(
        method="POST",
        path="/alerts/{alert_id}/acknowledge",
        summary="Mark an alert as seen",
        handler=acknowledge,
        query=Nothing,
        body=Nothing,
        told=None,
        status=204,
        refusals=(NOT_FOUND,),
    ),
)
