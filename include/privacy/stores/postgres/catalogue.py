"""Reads the live schema: tables, columns, keys, privileges, row security, triggers."""

from __future__ import annotations

from include.privacy.planning.catalogue import ForeignKey, LiveColumn, LiveSchema, LiveTable
from include.privacy.stores.postgres.session import Connection

__all__ = ["ForeignKey", "LiveColumn", "LiveSchema", "LiveTable", "read_schema"]

_KINDS = {"r": "table", "p": "table", "m": "materialised_view", "f": "foreign_table", "v": "view"}
_ON_DELETE = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}

# Plain views hold nothing of their own; partitions are reached through their parent.
_TABLES = """
SELECT c.oid, c.relname, c.relkind::text,
       row_security_active(c.oid),
       pg_get_partkeydef(c.oid),
       pg_has_role(c.relowner, 'USAGE'),
       ARRAY(SELECT p FROM unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE']) p
             WHERE has_table_privilege(c.oid, p))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r','p','m','f') AND NOT c.relispartition
ORDER BY c.relname
"""
_COLUMNS = """
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indpred IS NULL
               AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum),
       has_column_privilege(a.attrelid, a.attnum, 'UPDATE')
FROM pg_attribute a WHERE a.attrelid = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
_PRIMARY_KEYS = """
SELECT i.indrelid, ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(num, pos)
                         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num ORDER BY k.pos)
FROM pg_index i WHERE i.indisprimary AND i.indrelid = ANY(%s)
"""
# conparentid = 0: a partition inherits its parent's keys, once is enough.
_FOREIGN_KEYS = """
SELECT k.conname,
       CASE WHEN n.nspname = %(schema)s THEN c.relname::text ELSE n.nspname || '.' || c.relname END,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY x(num, pos)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.num ORDER BY x.pos),
       p.relname,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY x(num, pos)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.num ORDER BY x.pos),
       k.confdeltype::text, k.condeferrable
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND (pn.nspname = %(schema)s OR n.nspname = %(schema)s)
ORDER BY 2, 1
"""
_TRIGGERS = """
SELECT c.relname, array_agg(t.tgname::text ORDER BY t.tgname)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND NOT t.tgisinternal AND t.tgenabled <> 'D' GROUP BY c.relname
"""


def read_schema(connection: Connection, schema: str) -> LiveSchema:
    """The schema as this role sees it."""
    tables = connection.execute(_TABLES, (schema,)).fetchall()
    oids = [row[0] for row in tables]
    columns: dict[int, dict[str, LiveColumn]] = {}
    for oid, name, type_, nullable, unique, updatable in connection.execute(_COLUMNS, (oids,)):
        columns.setdefault(oid, {})[name] = LiveColumn(name, type_, nullable, unique, updatable)
    primary = {oid: tuple(names) for oid, names in connection.execute(_PRIMARY_KEYS, (oids,))}
    return LiveSchema(
        schema=schema,
        tables={
            name: LiveTable(
                name=name,
                kind=_KINDS[kind],
                columns=columns.get(oid, {}),
                primary_key=primary.get(oid, ()),
                partition_key=partition_key,
                row_security=row_security,
                privileges=frozenset(privileges),
                owned=owned,
            )
            for oid, name, kind, row_security, partition_key, owned, privileges in tables
        },
        foreign_keys=tuple(
            ForeignKey(name, table, tuple(cols), parent, tuple(ref), _ON_DELETE[on_delete], deferrable)
            for name, table, cols, parent, ref, on_delete, deferrable in connection.execute(
                _FOREIGN_KEYS, {"schema": schema}
            )
        ),
        triggers={name: tuple(names) for name, names in connection.execute(_TRIGGERS, (schema,))},
    )
