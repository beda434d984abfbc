"""The `webhook` commands' names, arguments and help. The work is loaded when a command runs."""

from typing import Annotated

import typer

from gateway.cli.arguments import Json, TenantArgument
from gateway.cli.running import with_services

app = typer.Typer(help="Tell an owner's own systems of events.", no_args_is_help=True)

WebhookArgument = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id, as webhook list shows it.")]


@app.command("create")
def create_webhook(
    name_or_id: TenantArgument,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are posted to: https, a public address.")],
    kinds: Annotated[
        list[str] | None,
        typer.Option("--event", help="A kind of event, such as turn.completed; may be repeated. All if left out."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a webhook; its secret is shown this once."""
    from gateway.cli import webhook  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: webhook.create(services, name_or_id, url, kinds or (), as_json=as_json))


@app.command("list")
def list_webhooks(name_or_id: TenantArgument, *, as_json: Json = False) -> None:
    """List a tenant's webhooks, without their secrets."""
    from gateway.cli import webhook  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: webhook.list_all(services, name_or_id, as_json=as_json))


@app.command("delete")
def delete_webhook(name_or_id: TenantArgument, webhook_id: WebhookArgument, *, as_json: Json = False) -> None:
    """Delete a webhook and the log of what was sent to it."""
    from gateway.cli import webhook  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: webhook.delete(services, name_or_id, webhook_id, as_json=as_json))


@app.command("deliveries")
def show_deliveries(
    name_or_id: TenantArgument,
    webhook_id: WebhookArgument,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many of the newest.")] = 50,
    *,
    as_json: Json = False,
) -> None:
    """Show what was sent to a webhook, and how it was taken."""
    from gateway.cli import webhook  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: webhook.deliveries(services, name_or_id, webhook_id, limit=limit, as_json=as_json))
