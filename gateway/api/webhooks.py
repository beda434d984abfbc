"""The owner's API: webhooks, by which the owner's own systems hear of events, and the log of what was sent."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from gateway import webhook_log, webhook_store
from gateway.api.call import NOT_FOUND, AnyRoute, Asked, Call, Nothing, Refusal, Route, Told, invalid, not_found
from gateway.api.paging import Listed, Page, id_cursor, next_page, parse_id_cursor
from gateway.errors import BadInputError, ProblemError
from gateway.events_out import EventKind
from gateway.outside_addresses import URL_LENGTH_MAX, url_problem
from metering.connection import Connection

TOO_MANY = Refusal(status=409, code="too_many_webhooks")
DISABLED = Refusal(status=409, code="webhook_disabled")


class NewWebhook(Asked):
    """An https address, and the kinds of events it wants; none named: all, those to come too."""

    url: str = Field(max_length=URL_LENGTH_MAX)
    kinds: tuple[EventKind, ...] = ()


class WebhookChange(Asked):
    """What is to be different; what is left out stays."""

    url: str | None = Field(default=None, max_length=URL_LENGTH_MAX)
    kinds: list[EventKind] | None = None
    enabled: bool | None = None


class Webhook(Told):
    """One address that is told of events. Its secret is shown when it is made or renewed, and never again."""

    id: UUID = Field(validation_alias="endpoint_id")
    url: str
    kinds: list[str]
    enabled: bool
    disabled_reason: webhook_store.DisabledReason | None
    failing_since: datetime | None
    created_at: datetime


class WebhookWithSecret(Webhook):
    """A webhook with the secret that its posts are signed with (Standard Webhooks), shown this once."""

    secret: str


class WebhookPage(Listed[Webhook]):
    """Webhooks, oldest first; always all of them."""


class Delivery(Told):
    """One event on its way to a webhook, and how the last attempt went."""

    id: UUID = Field(validation_alias="event_id")
    kind: str
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_latency_ms: int | None
    last_error: str | None
    body: dict[str, Any]
    created_at: datetime
    delivered_at: datetime | None


class DeliveryPage(Listed[Delivery]):
    """Deliveries of the last 30 days, newest event first."""


async def list_webhooks(call: Call[Nothing, Nothing]) -> WebhookPage:
    async with call.services.db.transaction(call.tenant_id) as connection:
        rows = await webhook_store.list_endpoints(connection, call.tenant_id)
    return WebhookPage(items=[Webhook.model_validate(row) for row in rows])


async def create_webhook(call: Call[Nothing, NewWebhook]) -> WebhookWithSecret:
    services, endpoint_id = call.services, call.services.new_id()
    _check_url(call, call.body.url)
    async with services.db.transaction(call.tenant_id) as connection:
        try:
            secret = await webhook_store.create_endpoint(
                connection,
                call.tenant_id,
                endpoint_id=endpoint_id,
                url=call.body.url,
                kinds=call.body.kinds,
                secret_box=services.secret_box,
                may_stay_inside=services.limits.webhooks_may_stay_inside,
                now=services.now(),
            )
        except BadInputError as error:
            raise ProblemError(TOO_MANY.status, TOO_MANY.code, str(error)) from error
        return await _with_secret(call, connection, endpoint_id, secret)


async def show_webhook(call: Call[Nothing, Nothing]) -> Webhook:
    async with call.services.db.transaction(call.tenant_id) as connection:
        return await _read(call, connection)


async def change_webhook(call: Call[Nothing, WebhookChange]) -> Webhook:
    if call.body.url is not None:
        _check_url(call, call.body.url)
    async with call.services.db.transaction(call.tenant_id) as connection:
        known = await webhook_store.change_endpoint(
            connection,
            call.tenant_id,
            call.id("webhook_id"),
            url=call.body.url,
            kinds=call.body.kinds,
            enabled=call.body.enabled,
            may_stay_inside=call.services.limits.webhooks_may_stay_inside,
        )
        if not known:
            raise not_found()
        return await _read(call, connection)


async def delete_webhook(call: Call[Nothing, Nothing]) -> None:
    async with call.services.db.transaction(call.tenant_id) as connection:
        known = await webhook_store.delete_endpoint(connection, call.tenant_id, call.id("webhook_id"))
    if not known:
        raise not_found()


async def renew_webhook_secret(call: Call[Nothing, Nothing]) -> WebhookWithSecret:
    endpoint_id = call.id("webhook_id")
    async with call.services.db.transaction(call.tenant_id) as connection:
        secret = await webhook_store.renew_secret(
            connection, call.tenant_id, endpoint_id, secret_box=call.services.secret_box, now=call.services.now()
        )
        if secret is None:
            raise not_found()
        return await _with_secret(call, connection, endpoint_id, secret)


async def try_webhook(call: Call[Nothing, Nothing]) -> Delivery:
    async with call.services.db.transaction(call.tenant_id) as connection:
        webhook = await _enabled(call, connection)
        queued = await webhook_log.queue_test(
            connection, call.tenant_id, webhook.id, now=call.services.now(), new_id=call.services.new_id
        )
    return Delivery.model_validate(queued)


async def list_webhook_deliveries(call: Call[Page, Nothing]) -> DeliveryPage:
    async with call.services.db.transaction(call.tenant_id) as connection:
        webhook = await _read(call, connection)
        rows = await webhook_log.list_deliveries(
            connection,
            call.tenant_id,
            webhook.id,
            limit=call.query.limit + 1,
            before=parse_id_cursor(call.query.cursor),
        )
    page, cursor = next_page(rows, call.query.limit, lambda row: id_cursor(row.event_id))
    return DeliveryPage(items=[Delivery.model_validate(row) for row in page], next_cursor=cursor)


async def retry_webhook_delivery(call: Call[Nothing, Nothing]) -> Delivery:
    async with call.services.db.transaction(call.tenant_id) as connection:
        webhook = await _enabled(call, connection)
        queued = await webhook_log.send_again(
            connection, call.tenant_id, webhook.id, call.id("delivery_id"), now=call.services.now()
        )
    if queued is None:
        raise not_found()
    return Delivery.model_validate(queued)


async def _read(call: Call[Any, Any], connection: Connection) -> Webhook:
    endpoint = await webhook_store.read_endpoint(connection, call.tenant_id, call.id("webhook_id"))
    if endpoint is None:
        raise not_found()
    return Webhook.model_validate(endpoint)


async def _enabled(call: Call[Any, Any], connection: Connection) -> Webhook:
    webhook = await _read(call, connection)
    if not webhook.enabled:
        raise ProblemError(DISABLED.status, DISABLED.code, "The webhook is switched off; switch it on first.")
    return webhook


async def _with_secret(
    call: Call[Any, Any], connection: Connection, endpoint_id: UUID, secret: str
) -> WebhookWithSecret:
    endpoint = await webhook_store.read_endpoint(connection, call.tenant_id, endpoint_id)
    if endpoint is None:
        raise not_found()
    return WebhookWithSecret(**Webhook.model_validate(endpoint).model_dump(), secret=secret)


def _check_url(call: Call[Any, Any], url: str) -> None:
    problem = url_problem(url, may_stay_inside=call.services.limits.webhooks_may_stay_inside)
    if problem is not None:
        raise invalid("url", problem)


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/webhooks",
        summary="List webhooks",
        handler=list_webhooks,
        query=Nothing,
        body=Nothing,
        told=WebhookPage,
    ),
    Route(
        method="POST",
        path="/webhooks",
        summary="Make a webhook; its secret is shown this once",
        handler=create_webhook,
        query=Nothing,
        body=NewWebhook,
        told=WebhookWithSecret,
        status=201,
        refusals=(TOO_MANY,),
    ),
    Route(
        method="GET",
        path="/webhooks/{webhook_id}",
        summary="Show a webhook",
        handler=show_webhook,
        query=Nothing,
        body=Nothing,
        told=Webhook,
        refusals=(NOT_FOUND,),
    ),
    Route(
        method="PATCH",
        path="/webhooks/{webhook_id}",
        summary="Change a webhook, or switch it on or off",
        handler=change_webhook,
        query=Nothing,
        body=WebhookChange,
        told=Webhook,
        refusals=(NOT_FOUND,),
    ),
    Route(
        method="DELETE",
        path="/webhooks/{webhook_id}",
        summary="Delete a webhook and its log",
        handler=delete_webhook,
        query=Nothing,
        body=Nothing,
        told=None,
        status=204,
        refusals=(NOT_FOUND,),
    ),
    Route(
        method="POST",
        path="/webhooks/{webhook_id}/rotate",
        summary="Renew a webhook's secret; the old one signs beside it for 24 hours",
        handler=renew_webhook_secret,
        query=Nothing,
        body=Nothing,
        told=WebhookWithSecret,
        refusals=(NOT_FOUND,),
    ),
    Route(
        method="POST",
        path="/webhooks/{webhook_id}/test",
        summary="Send a test event to a webhook",
        handler=try_webhook,
        query=Nothing,
        body=Nothing,
        told=Delivery,
        status=202,
        refusals=(NOT_FOUND, DISABLED),
    ),
    Route(
        method="GET",
        path="/webhooks/{webhook_id}/deliveries",
        summary="List what was sent to a webhook",
        handler=list_webhook_deliveries,
        query=Page,
        body=Nothing,
        told=DeliveryPage,
        refusals=(NOT_FOUND,),
    ),
    Route(
        method="POST",
        path="/webhooks/{webhook_id}/deliveries/{delivery_id}/retry",
        summary="Send an event to a webhook again, at once",
        handler=retry_webhook_delivery,
        query=Nothing,
        body=Nothing,
        told=Delivery,
        status=202,
        refusals=(NOT_FOUND, DISABLED),
    ),
)
