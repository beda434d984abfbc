"""The commands for numbers: names, arguments and help."""

from typing import Annotated

import typer

from gateway.cli.arguments import Json, TenantArgument
from gateway.cli.running import with_services

app = typer.Typer(help="Search, order, list and release numbers.", no_args_is_help=True)

Country = Annotated[str, typer.Option(metavar="CC", help="Two letters, such as DE.")]
Kind = Annotated[str, typer.Option(help="local (voice, WhatsApp) or mobile (voice, WhatsApp, SMS).")]


@app.command("search")
def search_numbers(
    country: Country,
    kind: Kind,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    *,
    as_json: Json = False,
) -> None:
    """Show numbers that Twilio has to sell."""
    from gateway.cli import number  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: number.search(services, country, kind, limit, as_json=as_json))


@app.command("order")
def order_number(
    name_or_id: TenantArgument,
    *,
    country: Country,
    kind: Kind,
    agent: Annotated[str, typer.Option(help="Who answers it.")],
    channels: Annotated[str, typer.Option(help="With commas between them, such as sms,voice.")],
    number: Annotated[str | None, typer.Option(help="One that search shows; else the first one.")] = None,
    bundle: Annotated[str | None, typer.Option(help="Twilio's id of the documents that the country wants.")] = None,
    address: Annotated[str | None, typer.Option(help="Twilio's id of the address that the country wants.")] = None,
    as_json: Json = False,
) -> None:
    """Buy a number for a tenant, charging its first month."""
    from gateway.cli import number as numbers  # noqa: PLC0415 - heavy, and not needed for --help

    asked = numbers.Asked(
        country=country, kind=kind, agent=agent, channels=channels, number=number, bundle=bundle, address=address
    )
    raise typer.Exit(with_services(lambda services: numbers.order(services, name_or_id, asked, as_json=as_json)))


@app.command("release")
def release_number(
    name_or_id: TenantArgument,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="With its country code.")],
    *,
    as_json: Json = False,
) -> None:
    """End a line at once; a number that was ordered here goes back to Twilio."""
    from gateway.cli import number as numbers  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: numbers.release(services, name_or_id, number, as_json=as_json))


@app.command("list")
def list_numbers(name_or_id: TenantArgument, *, as_json: Json = False) -> None:
    """Show a tenant's numbers, until when they are paid, and orders that are under way."""
    from gateway.cli import number  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: number.list_all(services, name_or_id, as_json=as_json))
