"""A path of the data map as SQL: from a row to the ordinal of its data subject in the cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from psycopg import sql

from include.privacy.policy.data_map import DatabaseMap, IdentifierPath, KeyPath, Path
from include.privacy.policy.purpose_views import identifier_sources

WORK_SCHEMA = "privacy_work"
SESSION_SCHEMA = "pg_temp"
"""Where an export keeps its cohort: a crash leaves nothing behind, and two copies never meet."""


def cohort_table(plan_id: UUID, schema: str = WORK_SCHEMA) -> sql.Identifier:
    """The work table of a plan: ordinal, subject key, weight."""
    return sql.Identifier(schema, f"cohort_{plan_id.hex}")


def identifier_table(plan_id: UUID, schema: str = WORK_SCHEMA) -> sql.Identifier:
    """The frozen identifiers of a plan's cohort: ordinal, kind, value."""
    return sql.Identifier(schema, f"identifier_{plan_id.hex}")


def correction_table(batch_id: UUID) -> sql.Identifier:
    """The new values of a batch of corrections: ordinal, field, value, refused, held."""
    return sql.Identifier(WORK_SCHEMA, f"correction_{batch_id.hex}")


def replaced_table(batch_id: UUID) -> sql.Identifier:
    """The values that a batch of corrections replaces: ordinal, field, value."""
    return sql.Identifier(WORK_SCHEMA, f"replaced_{batch_id.hex}")


@dataclass(frozen=True)
class Join:
    """``relations`` to add after FROM or USING, the condition that ties them to ``t0``, and the
    ``anchor``: the cohort's ordinal, or without a cohort the column with the subject key. ``once``:
    no row of ``t0`` can appear twice, because every hop ends at a primary key.
    """

    relations: tuple[sql.Composable, ...]
    condition: sql.Composable
    anchor: sql.Composable
    once: bool = False


@dataclass(frozen=True)
class Joins:
    """Builds joins for one database. ``primary_keys`` come from the live catalogue; ``schema`` holds
    the cohort.
    """

    database: DatabaseMap
    primary_keys: Mapping[str, tuple[str, ...]]
    schema: str = WORK_SCHEMA

    def table(self, name: str) -> sql.Identifier:
        """A quoted, schema-qualified table of the map; nothing outside the map can be named."""
        if name not in self.database.tables:
            raise KeyError(f"table {name!r} is not in the data map of store {self.database.store!r}")
        return sql.Identifier(self.database.schema_, name)

    def to_cohort(self, path: Path, plan_id: UUID, alias: str = "w", prefix: str = "t") -> Join:
        """Ties ``t0`` to the cohort's work table along ``path``; the anchor is the ordinal.

        ``alias`` and ``prefix`` name the work table and the hops, so that two paths can stand in one query.
        """
        relations, conditions, last, end, once = self._walk(path, prefix)
        column, work = sql.Identifier(last, end.column), sql.Identifier(alias)
        if isinstance(end, KeyPath):
            relations.append(sql.SQL("{} {}").format(cohort_table(plan_id, self.schema), work))
            conditions.append(sql.SQL("{} = {}.subject_key").format(column, work))
        else:
            relations.append(sql.SQL("{} {}").format(identifier_table(plan_id, self.schema), work))
            conditions.append(
                sql.SQL("{work}.kind = {kind} AND {column} = {work}.value").format(
                    work=work, kind=sql.Literal(end.identifier), column=column
                )
            )
        return Join(
            tuple(relations),
            sql.SQL(" AND ").join(conditions),
            sql.SQL("{}.ordinal").format(work),
            once,
        )

    def to_key(self, path: Path, prefix: str = "k") -> Join | None:
        """Ties ``t0`` to the subject key itself; None where only an identifier leads there.

        ``prefix`` names the hops' aliases, so that two paths of one row can stand in one query.
        """
        relations, conditions, alias, end, _ = self._walk(path, prefix)
        if isinstance(end, IdentifierPath):
            return None
        condition = sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")
        return Join(tuple(relations), condition, sql.Identifier(alias, end.column))

    def to_holders(self, path: Path, prefix: str = "k") -> list[Join]:
        """Ties ``t0`` to the subject key, also where an identifier leads there: one join for each table
        of this database that knows whose identifier it is.
        """
        relations, conditions, alias, end, _ = self._walk(path, prefix)
        if (direct := self.to_key(path, prefix)) is not None or isinstance(end, KeyPath):
            return [direct] if direct else []
        holders = []
        for name, role, column in identifier_sources(self.database, end.identifier):
            holder = f"{prefix}h"
            source = self.database.tables[name].subjects[role].path
            more, further, last, key, _ = self._walk(source, f"{holder}_", holder)
            pair = sql.Identifier(holder, column), sql.Identifier(alias, end.column)
            same = sql.SQL("{} = {}").format(*pair)
            holders.append(
                Join(
                    (*relations, sql.SQL("{} {}").format(self.table(name), sql.Identifier(holder)), *more),
                    sql.SQL(" AND ").join([*conditions, same, *further]),
                    sql.Identifier(last, key.column),
                )
            )
        return holders

    def _walk(
        self, path: Path, prefix: str, start: str = "t0"
    ) -> tuple[list[sql.Composable], list[sql.Composable], str, KeyPath | IdentifierPath, bool]:
        relations: list[sql.Composable] = []
        conditions: list[sql.Composable] = []
        alias, hop, once = start, 0, True
        while not isinstance(path, (KeyPath, IdentifierPath)):
            hop += 1
            once = once and not path.key
            parent = f"{prefix}{hop}"
            target = self.database.tables[path.references]
            relations.append(sql.SQL("{} {}").format(self.table(path.references), sql.Identifier(parent)))
            conditions += [
                sql.SQL("{} = {}").format(sql.Identifier(alias, child), sql.Identifier(parent, own))
                for child, own in zip(
                    path.columns, path.key or self.primary_keys[path.references], strict=True
                )
            ]
            role = path.role or next(iter(target.subjects))
            alias, path = parent, target.subjects[role].path
        return relations, conditions, alias, path, once and isinstance(path, KeyPath)
