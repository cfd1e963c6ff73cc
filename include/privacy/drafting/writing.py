"""Writes a draft as the YAML of a data map, with a comment wherever a person has to decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from include.privacy.drafting.draft import Draft, DraftRoot, DraftTable
from include.privacy.drafting.roles import Role


def as_yaml(draft: Draft, sampled: int) -> str:
    """The text of the file. ``sampled``: how many values were looked at; none of them is in it."""
    return "\n".join([*_head(draft, sampled), "", "tables:", *_tables(draft)]) + "\n"


def _head(draft: Draft, sampled: int) -> Iterator[str]:
    personal = sum(bool(table.roles) for table in draft.tables)
    yield f"# Draft of the data map of {draft.store}: {len(draft.tables)} tables; {personal} lead to people."
    yield f"# Made from the catalogue and from counts over {sampled} values; none of them is in here."
    yield f"# {draft.checks} lines say `check:`: what only you can know. Remove each when it is decided."
    yield "# The rest is a proposal too: rows go with their owner, other people's rows let go of them."
    yield "# Then: make check; python -m include.privacy grants; python -m include.privacy check --live."
    yield f"store: {_plain(draft.store)}"
    yield "kind: postgres"
    yield f"connection: {_plain(draft.connection)}"
    yield f"schema: {_plain(draft.schema)}"
    yield f"subject_key_type: {draft.key_type}"
    if draft.elsewhere is None:
        yield from _root(draft.root)
        return
    key = f"{draft.root.table}.{draft.root.key}"
    yield f"# check: the people are in {draft.elsewhere}: this store has no root. Does {key} hold their keys?"
    yield "#   Where only an address is the same, write for that table path: {column: …, identifier: email};"
    yield "#   what leads to it by its key then needs path: {columns: […], references: …}."


def _root(root: DraftRoot) -> Iterator[str]:
    yield from _checks(root.checks, "")
    yield "root:"
    yield f"  table: {_plain(root.table)}"
    yield f"  key: {_plain(root.key)}"
    yield "  lifecycle:"
    yield f"    service_ended_at: {_plain(root.service_ended_at)}"
    yield f"    deleted_at: {_plain(root.deleted_at)}"
    if root.email is not None:
        contact = {"email": root.email} | ({"language": root.language} if root.language else {})
        yield f"  contact: {_flow(contact)}"


def _tables(draft: Draft) -> Iterator[str]:
    roles = {table.name: table.roles for table in draft.tables}
    for number, table in enumerate(draft.tables):
        if number:
            yield ""
        yield from _checks(table.checks, "  ")
        yield from (f"  # {note}" for note in table.notes)
        yield f"  {_plain(table.name)}:"
        yield from _body(table, roles)


def _body(table: DraftTable, roles: dict[str, list[Role]]) -> Iterator[str]:
    if table.kind == "materialised_view":
        yield "    kind: materialised_view"
    if table.roles:
        yield f"    title: {_flow(table.name.replace('_', ' ').capitalize() + '.')}"
    if table.purpose:
        yield f"    purposes: {_flow([table.purpose])}"
    if table.roles:
        yield "    subjects:"
    for role in table.roles:
        yield from _checks(role.checks, "      ")
        erasure: Any = "delete"
        if role.cut:
            erasure = {"anonymise": {column: {"set": None} for column in role.cut}}
        yield f"      {_plain(role.name)}: {_flow({'path': _path(role, roles), 'erasure': erasure})}"
    yield "    columns:"
    for column in table.columns:
        yield from _checks(column.checks, "      ")
        yield f"      {_plain(column.name)}: {_flow(column.described)}"


def _path(role: Role, roles: dict[str, list[Role]]) -> Any:
    if role.identifier is not None:
        return {"column": role.columns[0], "identifier": role.identifier}
    if role.references is None:
        return role.columns[0]
    path: dict[str, Any] = {"columns": list(role.columns), "references": role.references}
    if role.key is not None:
        path["key"] = list(role.key)
    if len(roles[role.references]) > 1:
        path["role"] = role.role
    return path


def _checks(checks: Iterable[str], indent: str) -> Iterator[str]:
    yield from (f"{indent}# check: {check}" for check in checks)


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(
        value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _plain(name: str) -> str:
    """A name, quoted where YAML would read something else (``on``, ``no``, a number)."""
    return _flow([name])[1:-1]
