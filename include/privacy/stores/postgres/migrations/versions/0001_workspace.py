"""Operation (fence and position), progress (evidence of chunks), deferred (kept back by a hold)."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the tables."""
    op.execute("""
        CREATE TABLE privacy_work.operation (
            plan_id uuid NOT NULL,
            shard integer NOT NULL,
            owner uuid NOT NULL,
            position bigint NOT NULL DEFAULT 0,
            sweep integer NOT NULL DEFAULT 0,
            taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            finished_at timestamptz,
            PRIMARY KEY (plan_id, shard)
        );
        CREATE TABLE privacy_work.progress (
            plan_id uuid NOT NULL,
            shard integer NOT NULL,
            sweep integer NOT NULL,
            position bigint NOT NULL,
            counts jsonb NOT NULL,
            seconds double precision NOT NULL,
            recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY
        );
        CREATE INDEX ON privacy_work.progress (plan_id, shard);
        CREATE TABLE privacy_work.deferred (
            plan_id uuid NOT NULL,
            ordinal bigint NOT NULL,
            reason text NOT NULL,
            PRIMARY KEY (plan_id, ordinal)
        );
    """)


def downgrade() -> None:
    """Drops the tables."""
    op.execute("DROP TABLE privacy_work.operation, privacy_work.progress, privacy_work.deferred")
