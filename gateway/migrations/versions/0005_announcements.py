"""What is told outside: mail and webhooks."""

from gateway.migrations.scripts import run_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_beside(__file__)
