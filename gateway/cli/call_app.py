"""The commands for phone calls: names, arguments and help."""

from typing import Annotated

import typer

from gateway.cli.arguments import Json, TenantArgument
from gateway.cli.running import with_services

app = typer.Typer(help="Look at a tenant's phone calls.", no_args_is_help=True)


@app.command("list")
def list_calls(
    name_or_id: TenantArgument,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many of the newest.")] = 50,
    as_json: Json = False,
) -> None:
    """List phone calls, the newest first, with what each has cost."""
    from gateway.cli import call  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: call.list_all(services, name_or_id, limit=limit, as_json=as_json))


@app.command("show")
def show_call(
    name_or_id: TenantArgument,
    call_id: Annotated[str, typer.Argument(metavar="ID", help="The call's id, as call list shows it.")],
    *,
    as_json: Json = False,
) -> None:
    """Show a phone call: times, minutes, tokens, cost, legs, how it went, and the engine's own count."""
    from gateway.cli import call  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: call.show(services, name_or_id, call_id, as_json=as_json))
