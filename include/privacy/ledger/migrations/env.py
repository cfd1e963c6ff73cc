"""Alembic's entry: runs on the connection and in the transaction that ``migrate`` opened."""

from __future__ import annotations

from alembic import context

from include.privacy.ledger.base import SCHEMA, Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("run the ledger's migrations with: python -m include.privacy migrate")

context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
)
context.run_migrations()
