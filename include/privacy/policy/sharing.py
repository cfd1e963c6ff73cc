"""Whose data a column is, in a row that belongs to several people."""

from __future__ import annotations

from include.privacy.policy.data_map import STAFF, Path, ReferencePath, Table


def path_columns(path: Path) -> tuple[str, ...]:
    """The columns of the table itself that the path starts from."""
    return path.columns if isinstance(path, ReferencePath) else (path.column,)


def owners(table: Table, column: str) -> frozenset[str]:
    """The roles that may see the column in an export; ``{"staff"}`` where no customer may.

    What ``of:`` says; else, for a personal column, the roles whose path starts there, or the first
    role, which is the row's owner; a column that is not personal is everybody's. So whatever nobody
    thought about is withheld from the other people of the row (Art. 15(4) GDPR).
    """
    described = table.columns[column]
    if described.of is not None:
        return frozenset(described.of)
    if not described.personal:
        return frozenset(table.subjects)
    starts = frozenset(role for role, s in table.subjects.items() if column in path_columns(s.path))
    return starts or frozenset(list(table.subjects)[:1])


def of_staff(table: Table, column: str) -> bool:
    """Whether the column tells which employee acted; not shown (CJEU C-579/21)."""
    return STAFF in owners(table, column)


def earlier_roles(table: Table, role: str) -> tuple[str, ...]:
    """The roles before this one. A row is exported once, in the first role that the person fills."""
    names = list(table.subjects)
    return tuple(names[: names.index(role)])
