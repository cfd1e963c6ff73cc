"""The queries of an export: one per collection and form, joined to the cohort's work table.

PostgreSQL writes the JSON itself: as fast as COPY of the same text, and no value passes through
Python's types. Rows come in the order of ordinals, so that one pass serves everybody in the cohort.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from psycopg import sql

from include.privacy.planning.exporting import REDACTED, Collection, ExportField
from include.privacy.policy.data_map import IdentifierPath, KeyPath, Path
from include.privacy.policy.sharing import earlier_roles
from include.privacy.stores.postgres.joins import Join, Joins

INLINE_FILE_BYTES = 128 * 1024
"""Files up to this size come with the list of files; larger ones piece by piece."""

_FLOATS = frozenset({"real", "double precision", "numeric"})
_PLAIN = frozenset({"smallint", "integer", "bigint", "boolean", "uuid", "text", "json", "jsonb"})
"""Types whose cast to text reads as in JSON."""
# What Frictionless and JSON call what PostgreSQL calls Infinity.
_SPELT = sql.SQL("replace({}::text, 'Infinity', 'INF')")


@dataclass(frozen=True)
class Source:
    """Builds the queries of one export. ``salt`` makes the names of files say nothing about rows."""

    joins: Joins
    export_id: UUID
    salt: str
    ordered: bool

    def lines(self, collection: Collection, *, marked: bool) -> sql.Composed:
        """Ordinal, row as JSON text, names of the redacted fields (null where there are none).

        ``marked`` writes :data:`REDACTED` in their place, else null.
        """
        items = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(self._json(collection, f, marked=marked), sql.Identifier(f.name))
            for f in collection.fields
        )
        return self._query(
            collection,
            sql.SQL("row_to_json(r.*)::text, {}").format(self._redactions(collection)),
            sql.SQL(", LATERAL (SELECT {}) r").format(items),
        )

    def table(self, collection: Collection) -> sql.Composed:
        """Ordinal, then each field as text, spelt as in JSON; null for null and for what is redacted."""
        items = sql.SQL(", ").join(self._plain(collection, f) for f in collection.fields)
        return self._query(collection, items)

    def files(self, collection: Collection, field: ExportField) -> sql.Composed:
        """Ordinal, path in the archive, content (null if large), size, and where the row lies."""
        content = sql.Identifier("t0", field.name)
        return self._query(
            collection,
            sql.SQL(
                "{path}, CASE WHEN octet_length({content}) <= {limit} THEN {content} END, "
                "octet_length({content}), t0.tableoid, t0.ctid::text"
            ).format(
                path=self._path(collection, field), content=content, limit=sql.Literal(INLINE_FILE_BYTES)
            ),
            where=sql.SQL("{} IS NOT NULL AND {}").format(content, self._may_see(field)),
        )

    def piece(self, collection: Collection, field: ExportField) -> sql.Composed:
        """A piece of a large file: parameters ``start`` (from 1), ``size``, ``table`` and ``row``."""
        return sql.SQL(
            "SELECT substring({} FROM %(start)s FOR %(size)s) FROM {} t0 "
            "WHERE t0.tableoid = %(table)s AND t0.ctid = %(row)s::tid"
        ).format(sql.Identifier("t0", field.name), self.joins.table(collection.table))

    def _query(
        self,
        collection: Collection,
        items: sql.Composable,
        laterals: sql.Composable | None = None,
        *,
        where: sql.Composable | None = None,
    ) -> sql.Composed:
        subjects = self.joins.database.tables[collection.table].subjects
        path = subjects[collection.role].path
        join = self.joins.to_cohort(path, self.export_id)
        conditions = [
            join.condition,
            *(
                sql.SQL("NOT {}").format(self._fills(subjects[role].path))
                for role in earlier_roles(self.joins.database.tables[collection.table], collection.role)
            ),
            *([where] if where is not None else []),
        ]
        mine = self._mine(collection)
        return sql.SQL(
            "SELECT {distinct}w.ordinal, {items} FROM {table} t0{relations}{mine}{laterals} "
            "WHERE {where}{order}"
        ).format(
            distinct=sql.SQL("DISTINCT ON (w.ordinal, t0.tableoid, t0.ctid) " if self._twice(path) else ""),
            items=items,
            table=self.joins.table(collection.table),
            relations=_listed(join.relations),
            mine=mine,
            laterals=laterals or sql.SQL(""),
            where=sql.SQL(" AND ").join(conditions),
            order=self._order(path),
        )

    def _order(self, path: Path) -> sql.SQL:
        if self._twice(path):
            return sql.SQL(" ORDER BY w.ordinal, t0.tableoid, t0.ctid")
        # One person needs no order, and five million rows no sort.
        return sql.SQL(" ORDER BY w.ordinal" if self.ordered else "")

    def _twice(self, path: Path) -> bool:
        """Whether a hop by something else than a primary key may find the same row twice."""
        while not isinstance(path, (KeyPath, IdentifierPath)):
            if path.key:
                return True
            target = self.joins.database.tables[path.references]
            path = target.subjects[path.role or next(iter(target.subjects))].path
        return False

    def _fills(self, path: Path) -> sql.Composed:
        """Whether the person at hand reaches the row along another path as well."""
        join: Join = self.joins.to_cohort(path, self.export_id, "o", "x")
        return sql.SQL("EXISTS (SELECT FROM {} WHERE {} AND {} = w.ordinal)").format(
            sql.SQL(", ").join(join.relations), join.condition, join.anchor
        )

    def _mine(self, collection: Collection) -> sql.Composable:
        """For each role that some field depends on: whether the person fills it in this row."""
        roles = sorted({role for f in collection.fields for role in f.only_if})
        if not roles:
            return sql.SQL("")
        subjects = self.joins.database.tables[collection.table].subjects
        return sql.SQL(", LATERAL (SELECT {}) m").format(
            sql.SQL(", ").join(
                sql.SQL("{} AS {}").format(self._fills(subjects[r].path), sql.Identifier(r)) for r in roles
            )
        )

    def _may_see(self, field: ExportField) -> sql.Composable:
        if not field.only_if:
            return sql.SQL("true")
        return sql.SQL("({})").format(sql.SQL(" OR ").join(sql.Identifier("m", r) for r in field.only_if))

    def _redactions(self, collection: Collection) -> sql.Composable:
        tests = [
            sql.SQL("CASE WHEN NOT {} AND {} IS NOT NULL THEN {} END").format(
                self._may_see(f), sql.Identifier("t0", f.name), sql.Literal(f.name)
            )
            for f in collection.fields
            if f.only_if
        ]
        if not tests:
            return sql.SQL("NULL")
        return sql.SQL("nullif(array_remove(ARRAY[{}]::text[], NULL), '{{}}')").format(
            sql.SQL(", ").join(tests)
        )

    def _json(self, collection: Collection, field: ExportField, *, marked: bool) -> sql.Composable:
        value = self._value(collection, field)
        if not field.only_if:
            return value
        if not marked:
            return sql.SQL("CASE WHEN {} THEN {} END").format(self._may_see(field), value)
        return sql.SQL("CASE WHEN {} OR {} IS NULL THEN to_json({}) ELSE to_json({}::text) END").format(
            self._may_see(field), sql.Identifier("t0", field.name), value, sql.Literal(REDACTED)
        )

    def _plain(self, collection: Collection, field: ExportField) -> sql.Composable:
        column = sql.Identifier("t0", field.name)
        if field.file:
            text: sql.Composable = self._value(collection, field)
        elif field.type in _FLOATS:
            text = _SPELT.format(column)
        elif field.type in _PLAIN:
            text = sql.SQL("{}::text").format(column)
        else:
            # As row_to_json spells it: instants in ISO 8601, addresses without their mask.
            text = sql.SQL("to_jsonb({}) #>> '{{}}'").format(column)
        if not field.only_if:
            return text
        return sql.SQL("CASE WHEN {} THEN {} END").format(self._may_see(field), text)

    def _value(self, collection: Collection, field: ExportField) -> sql.Composable:
        column = sql.Identifier("t0", field.name)
        if field.file:
            return sql.SQL("CASE WHEN {} IS NOT NULL THEN {} END").format(
                column, self._path(collection, field)
            )
        if field.type in _FLOATS:
            # JSON has no number for them.
            return sql.SQL(
                "CASE WHEN {column}::text IN ('NaN', 'Infinity', '-Infinity') THEN to_json({spelt}) "
                "ELSE to_json({column}) END"
            ).format(column=column, spelt=_SPELT.format(column))
        if field.type == "json":
            # Unlike jsonb it keeps the line breaks that were between its tokens; a row has to be one line.
            return sql.SQL("translate({}::text, E'\\n\\r', '  ')::json").format(column)
        return column

    def _path(self, collection: Collection, field: ExportField) -> sql.Composable:
        """An opaque name: names of members can be read without the passphrase."""
        described = self.joins.database.tables[collection.table].columns[field.name]
        extension: sql.Composable = sql.SQL("")
        if described.file_name is not None:
            extension = sql.SQL(
                " || coalesce('.' || lower(substring({}::text from '\\.([A-Za-z0-9]{{1,8}})$')), '')"
            ).format(sql.Identifier("t0", described.file_name))
        return sql.SQL(
            "{folder} || left(md5({salt} || t0.tableoid || ' ' || t0.ctid::text), 20){extension}"
        ).format(
            folder=sql.Literal(f"files/{collection.store}/{collection.table}/"),
            salt=sql.Literal(f"{self.salt} {field.name} "),
            extension=extension,
        )


def _listed(relations: Iterable[sql.Composable]) -> sql.Composed:
    return sql.Composed([sql.SQL(", {}").format(r) for r in relations])
