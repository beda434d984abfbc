"""Messages that are priced by segment."""

from gateway.migrations.scripts import run_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_beside(__file__)
