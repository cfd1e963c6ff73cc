"""Alembic environment: one connection, handed over by ``migrate_workspace``."""

from __future__ import annotations

from alembic import context

from include.privacy.stores.postgres.joins import WORK_SCHEMA

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="schema_version", version_table_schema=WORK_SCHEMA)
with context.begin_transaction():
    context.run_migrations()
