"""The statements of a batch of corrections, one for each column: values travel in work tables only.

Placeholders: ``first`` and ``last`` (ordinals, inclusive). ``t0`` is the table, ``w`` the cohort or its
identifiers, ``v`` the new value of one person's field, ``r`` a replaced one.
"""

from __future__ import annotations

from uuid import UUID

from psycopg import sql

from include.privacy.planning.rectification import Place, Trace
from include.privacy.policy.data_map import Path
from include.privacy.stores.postgres.joins import Joins, correction_table, replaced_table


def capture(joins: Joins, place: Place, batch: UUID, *, lock: bool) -> sql.Composed:
    """Notes the values that the update of this place will replace. ``lock``: so that they stay until then.

    A copy is not asked: what it replaces was noted where the fact itself is.
    """
    return sql.SQL(
        "INSERT INTO {replaced} (ordinal, field, value) SELECT v.ordinal, v.field, {current} "
        "FROM {table} t0, {relations} WHERE {where} AND {current} IS NOT NULL AND NOT EXISTS "
        "(SELECT FROM {replaced} r WHERE r.ordinal = v.ordinal AND r.field = v.field AND r.value = {current})"
        "{lock}"
    ).format(
        replaced=replaced_table(batch),
        table=joins.table(place.table),
        current=_current(place),
        relations=_relations(joins, place.table, place.role, batch),
        where=_differing(joins, place, batch),
        lock=sql.SQL(" FOR UPDATE OF t0") if lock else sql.SQL(""),
    )


def refuse_taken(joins: Joins, place: Place, batch: UUID) -> sql.Composed:
    """Refuses new values of a unique column that somebody else has, or that an earlier person of the batch
    is to get.
    """
    join = joins.to_cohort(_path(joins, place.table, place.role), batch)
    return sql.SQL(
        """UPDATE {corrections} c SET refused = 'already_in_use'
           WHERE c.field = {field} AND c.refused IS NULL AND c.ordinal BETWEEN %(first)s AND %(last)s
             AND EXISTS (SELECT FROM {table} t0, {relations} WHERE {differing} AND v.ordinal = c.ordinal)
             AND (EXISTS (SELECT FROM {table} t0 WHERE t0.{column} = c.value{cast} AND NOT EXISTS (
                      SELECT FROM {own} WHERE {tie} AND {anchor} = c.ordinal))
                  OR EXISTS (SELECT FROM {corrections} e WHERE e.field = c.field AND e.value = c.value
                             AND e.ordinal < c.ordinal AND e.refused IS NULL))"""
    ).format(
        corrections=correction_table(batch),
        field=sql.Literal(place.rectify.field),
        table=joins.table(place.table),
        relations=_relations(joins, place.table, place.role, batch),
        differing=_differing(joins, place, batch),
        column=sql.Identifier(place.column),
        cast=_cast(place),
        own=sql.SQL(", ").join(join.relations),
        tie=join.condition,
        anchor=join.anchor,
    )


def delete_doubled(joins: Joins, place: Place, batch: UUID) -> sql.Composed:
    """Deletes copies whose corrected row is there already."""
    return sql.SQL(
        "DELETE FROM {table} t0 USING {relations} WHERE {where} "
        "AND EXISTS (SELECT FROM {table} o WHERE o.{column} = v.value{cast})"
    ).format(
        table=joins.table(place.table),
        relations=_relations(joins, place.table, place.role, batch),
        where=_differing(joins, place, batch),
        column=sql.Identifier(place.column),
        cast=_cast(place),
    )


def correct(joins: Joins, place: Place, batch: UUID) -> sql.Composed:
    """Writes the new values where the column still says something else."""
    value: sql.Composable = sql.SQL("v.value{}").format(_cast(place))
    if place.rectify.key is not None:
        value = sql.SQL("jsonb_set(t0.{}, ARRAY[{}], to_jsonb(v.value), false)").format(
            sql.Identifier(place.column), sql.Literal(place.rectify.key)
        )
    return sql.SQL("UPDATE {table} t0 SET {column} = {value} FROM {relations} WHERE {where}").format(
        table=joins.table(place.table),
        column=sql.Identifier(place.column),
        value=value,
        relations=_relations(joins, place.table, place.role, batch),
        where=_differing(joins, place, batch),
    )


def delete_trace(joins: Joins, trace: Trace, batch: UUID, *, lower: bool) -> sql.Composed:
    """Deletes the person's rows that record a replaced value, what a trigger has just written included."""
    return sql.SQL("DELETE FROM {table} t0 USING {relations} WHERE {where}").format(
        table=joins.table(trace.table),
        relations=_relations(joins, trace.table, trace.role, batch),
        where=_recorded(joins, trace, batch, lower=lower),
    )


def left(joins: Joins, place: Place | Trace, batch: UUID, *, lower: bool) -> sql.Composed:
    """Ordinal and number of rows that are not as they should be afterwards."""
    where = (
        _differing(joins, place, batch)
        if isinstance(place, Place)
        else _recorded(joins, place, batch, lower=lower)
    )
    return sql.SQL("SELECT v.ordinal, count(*) FROM {table} t0, {relations} WHERE {where} GROUP BY 1").format(
        table=joins.table(place.table),
        relations=_relations(joins, place.table, place.role, batch),
        where=where,
    )


def _path(joins: Joins, table: str, role: str) -> Path:
    return joins.database.tables[table].subjects[role].path


def _relations(joins: Joins, table: str, role: str, batch: UUID) -> sql.Composed:
    join = joins.to_cohort(_path(joins, table, role), batch)
    return sql.SQL(", ").join((*join.relations, sql.SQL("{} v").format(correction_table(batch))))


def _wanted(joins: Joins, table: str, role: str, field: str, batch: UUID) -> sql.Composed:
    """The rows of whoever in the slice has corrected the field and was not refused."""
    join = joins.to_cohort(_path(joins, table, role), batch)
    return sql.SQL(
        "{tie} AND v.ordinal = {anchor} AND v.field = {field} AND v.refused IS NULL "
        "AND v.ordinal BETWEEN %(first)s AND %(last)s"
    ).format(tie=join.condition, anchor=join.anchor, field=sql.Literal(field))


def _differing(joins: Joins, place: Place, batch: UUID) -> sql.Composed:
    current = _current(place)
    conditions: list[sql.Composable] = [
        _wanted(joins, place.table, place.role, place.rectify.field, batch),
        sql.SQL("{} IS DISTINCT FROM v.value").format(current),
    ]
    if place.rectify.key is not None:
        conditions.append(
            sql.SQL("t0.{} ? {}").format(sql.Identifier(place.column), sql.Literal(place.rectify.key))
        )
    if place.rectify.copy_:
        conditions.append(_was_replaced(current, batch, lower=place.rectify.case == "lower"))
    return sql.SQL(" AND ").join(conditions)


def _recorded(joins: Joins, trace: Trace, batch: UUID, *, lower: bool) -> sql.Composed:
    current = sql.SQL("t0.{}::text").format(sql.Identifier(trace.column))
    return sql.SQL("{} AND {}").format(
        _wanted(joins, trace.table, trace.role, trace.field, batch),
        _was_replaced(current, batch, lower=lower),
    )


def _was_replaced(current: sql.Composable, batch: UUID, *, lower: bool) -> sql.Composed:
    """Whether the column holds a value that was replaced; the new value is none, whatever was noted."""
    fold = sql.SQL("lower({})" if lower else "{}")
    return sql.SQL(
        "EXISTS (SELECT FROM {} r WHERE r.ordinal = v.ordinal AND r.field = v.field AND {} = {} AND {} <> {})"
    ).format(
        replaced_table(batch),
        fold.format(sql.SQL("r.value")),
        fold.format(current),
        fold.format(sql.SQL("r.value")),
        fold.format(sql.SQL("v.value")),
    )


def _current(place: Place) -> sql.Composable:
    """What the place says now, as text."""
    column = sql.Identifier("t0", place.column)
    if place.rectify.key is not None:
        return sql.SQL("{} ->> {}").format(column, sql.Literal(place.rectify.key))
    return sql.SQL("{}::text").format(column)


def _cast(place: Place) -> sql.SQL:
    return sql.SQL("::date" if place.rectify.format == "date" else "")
