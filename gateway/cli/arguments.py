"""What many commands take, under one name and with one help."""

from typing import Annotated

import typer

TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's name or id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
