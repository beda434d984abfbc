"""Phone calls: the call itself, its legs, the tokens that open its stream, and what is said from the shelf."""

from gateway.migrations.scripts import run_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_beside(__file__)
