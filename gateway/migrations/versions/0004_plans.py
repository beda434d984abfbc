"""Plans: cycles, changes, invoices, recurring work."""

from gateway.migrations.scripts import run_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_beside(__file__)
