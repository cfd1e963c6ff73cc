"""Former identifiers: what led to a person before it was corrected."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import psycopg
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the SQL file beside this one, through the driver."""
    driver = cast("psycopg.Connection", op.get_bind().connection.driver_connection)
    driver.execute(Path(__file__).with_suffix(".sql").read_bytes())


def downgrade() -> None:
    """Refused: the ledger is evidence; restore a backup instead."""
    raise NotImplementedError("the ledger is evidence and is never downgraded; restore a backup instead")
