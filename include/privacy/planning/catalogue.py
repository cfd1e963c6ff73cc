"""The live schema of a database as plain data: what the planner and the map check look at."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LiveColumn:
    """A column; ``type`` as PostgreSQL's ``format_type`` prints it; ``updatable`` by our role."""

    name: str
    type: str
    nullable: bool = True
    unique: bool = False
    updatable: bool = True


@dataclass(frozen=True)
class LiveTable:
    """A table, partitioned table or materialised view; partitions are not listed on their own."""

    name: str
    kind: str
    columns: dict[str, LiveColumn]
    primary_key: tuple[str, ...] = ()
    partition_key: str | None = None
    row_security: bool = False
    privileges: frozenset[str] = frozenset({"SELECT", "UPDATE", "DELETE"})
    owned: bool = True


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key. ``on_delete`` is one of NO ACTION, RESTRICT, CASCADE, SET NULL, SET DEFAULT."""

    name: str
    table: str
    columns: tuple[str, ...]
    references: str
    referenced_columns: tuple[str, ...]
    on_delete: str = "NO ACTION"
    deferrable: bool = False


@dataclass(frozen=True)
class LiveSchema:
    """Everything of one schema, and the foreign keys that touch it from anywhere.

    A foreign key whose child lives in another schema names it ``schema.table``.
    """

    schema: str
    tables: dict[str, LiveTable]
    foreign_keys: tuple[ForeignKey, ...] = ()
    triggers: dict[str, tuple[str, ...]] = field(default_factory=dict)
