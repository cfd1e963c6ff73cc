"""PostgreSQL: plan, execute and probe cohorts; ages of rows; the lifecycle of accounts."""

from include.privacy.stores.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
