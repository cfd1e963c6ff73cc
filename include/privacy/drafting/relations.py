"""How rows of an unmapped database lead to people: by foreign keys, and by what columns are called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from include.privacy.detection.patterns import label
from include.privacy.drafting.vocabulary import PEOPLE, STAFF, singulars
from include.privacy.policy.live_schema import LiveSchema, LiveTable
from include.privacy.policy.looks import Kind

Kinds = Mapping[str, Mapping[str, frozenset[Kind]]]
"""Table → column → what its values look like."""

_KEY = re.compile(r"(.+?)_?(?:id|uuid|guid|key|ref|no)")
_INTEGERS = frozenset({"smallint", "integer", "bigint"})


class NoRootError(ValueError):
    """Nothing looks like a table of people; the message says what to do."""


@dataclass(frozen=True)
class Edge:
    """Columns that point at a table. ``named``: no foreign key says so, only what the column is called."""

    table: str
    columns: tuple[str, ...]
    references: str
    key: tuple[str, ...]
    nullable: bool
    named: bool = False


def foreign_keys(live: LiveSchema) -> list[Edge]:
    """The foreign keys inside the schema."""
    return [
        Edge(
            each.table,
            each.columns,
            each.references,
            each.referenced_columns,
            any(live.tables[each.table].columns[c].nullable for c in each.columns),
        )
        for each in live.foreign_keys
        if each.table in live.tables and each.references in live.tables
    ]


def guess_root(live: LiveSchema, kinds: Kinds) -> str:
    """The table whose rows are the people: called so, with an address, and pointed at.

    Raises :class:`NoRootError` where nothing stands out.
    """
    pointed = [edge.references for edge in foreign_keys(live) if edge.table != edge.references]
    scores = {
        name: _likeness(name, table, kinds.get(name, {})) + min(pointed.count(name), 8) / 2
        for name, table in live.tables.items()
        if table.kind == "table" and len(table.primary_key) == 1
    }
    best = max(scores, key=lambda name: (scores[name], name), default=None)
    if best is None or scores[best] < 3:
        raise NoRootError("no table looks like the one whose rows are the people; name it with --root")
    return best


def edges(live: LiveSchema, root: str) -> list[Edge]:
    """Foreign keys, and columns that are called like keys of a table and are of its key's type."""
    found = foreign_keys(live)
    keyed = {(edge.table, c) for edge in found for c in edge.columns}
    names = {each: name for name, table in live.tables.items() for each in _called(name, table)}
    for word in PEOPLE:
        names.setdefault(word, root)
    for name, table in live.tables.items():
        for column, described in table.columns.items():
            if (name, column) in keyed or (table.primary_key == (column,) and name == root):
                continue
            target = _target(label(column), names)
            if target is None or (table.primary_key == (column,) and label(column) in ("id", "uuid")):
                continue
            key = live.tables[target].primary_key
            if (
                len(key) == 1
                and target != name
                and _fits(described.type, live.tables[target].columns[key[0]].type)
            ):
                found.append(Edge(name, (column,), target, key, described.nullable, named=True))
    return found


def _likeness(name: str, table: LiveTable, kinds: Mapping[str, frozenset[Kind]]) -> float:
    words = singulars(label(name))
    score = 0.0
    if words & PEOPLE:
        score += 3
    elif any(word.rpartition("_")[2] in PEOPLE for word in words):
        score += 1
    if STAFF.fullmatch(label(name)):
        score -= 6
    columns = {label(column) for column in table.columns}
    if any("email" in each or each == "mail" for each in columns) or any(
        Kind.email in k for k in kinds.values()
    ):
        score += 2
    if columns & {"full_name", "first_name", "last_name", "name", "username", "user_name", "display_name"}:
        score += 1
    return score


def _called(name: str, table: LiveTable) -> set[str]:
    """What a key of the table may be called. A view has none."""
    return singulars(label(name)) if table.kind == "table" and len(table.primary_key) == 1 else set()


def _target(column: str, names: Mapping[str, str]) -> str | None:
    """The table that a column such as ``billing_customer_id`` is called after: by its last words."""
    found = _KEY.fullmatch(column)
    if found is None:
        return None
    words = found[1].split("_")
    return next((names[w] for at in range(len(words)) if (w := "_".join(words[at:])) in names), None)


def _fits(type_: str, key: str) -> bool:
    return type_ == key or (type_ in _INTEGERS and key in _INTEGERS)
