"""The live schema of a database as the map comparison wants to see it.

The dataclasses of ``planning.catalogue`` satisfy these; policy is below planning and imports nothing of it.
"""
# ruff: noqa: D102 - the classes say what their attributes are

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Protocol


class LiveColumn(Protocol):
    """A column; ``type`` as PostgreSQL prints it."""

    @property
    def type(self) -> str: ...
    @property
    def nullable(self) -> bool: ...
    @property
    def unique(self) -> bool: ...
    @property
    def updatable(self) -> bool: ...


class LiveTable(Protocol):
    """A table, partitioned table or materialised view, without partitions of their own."""

    @property
    def kind(self) -> str: ...
    @property
    def columns(self) -> Mapping[str, LiveColumn]: ...
    @property
    def primary_key(self) -> tuple[str, ...]: ...
    @property
    def row_security(self) -> bool: ...
    @property
    def privileges(self) -> AbstractSet[str]: ...


class LiveKey(Protocol):
    """A foreign key; a child in another schema is called ``schema.table``."""

    @property
    def name(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def references(self) -> str: ...
    @property
    def referenced_columns(self) -> tuple[str, ...]: ...
    @property
    def on_delete(self) -> str: ...


class LiveSchema(Protocol):
    """Everything of one schema, and the foreign keys that touch it."""

    @property
    def tables(self) -> Mapping[str, LiveTable]: ...
    @property
    def foreign_keys(self) -> Iterable[LiveKey]: ...
