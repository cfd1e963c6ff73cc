"""Puts a draft together: the store, its root, and each table with roles, columns and what is not sure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from include.privacy.detection.patterns import label
from include.privacy.drafting import vocabulary
from include.privacy.drafting.columns import (
    DraftColumn,
    draft_columns,
    is_mail,
    is_text,
    surely_personal,
    text_length,
)
from include.privacy.drafting.relations import Edge, Kinds, NoRootError, edges, guess_root
from include.privacy.drafting.roles import Mail, Role, Roles, find_roles
from include.privacy.policy.live_schema import LiveSchema, LiveTable
from include.privacy.policy.rectify import LONGEST

_KEY_TYPES = {"bigint": "bigint", "integer": "integer", "smallint": "integer", "uuid": "uuid"}


@dataclass
class DraftTable:
    """One table. ``checks``: to decide; ``notes``: to know."""

    name: str
    kind: str
    columns: list[DraftColumn]
    roles: list[Role] = field(default_factory=list)
    purpose: str | None = None
    checks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class DraftRoot:
    """The root table. ``checks``: what its lifecycle lacks."""

    table: str
    key: str
    service_ended_at: str
    deleted_at: str
    email: str | None
    language: str | None
    checks: list[str]


@dataclass
class Draft:
    """A map to be looked through. ``elsewhere``: the store that lists the people, where this one does not."""

    store: str
    connection: str
    schema: str
    key_type: str
    root: DraftRoot
    elsewhere: str | None
    tables: list[DraftTable]

    @property
    def checks(self) -> int:
        """How much somebody has to decide."""
        found = len(self.root.checks) + (self.elsewhere is not None)
        for table in self.tables:
            found += len(table.checks)
            found += sum(len(r.checks) for r in table.roles) + sum(len(c.checks) for c in table.columns)
        return found


def make_draft(
    live: LiveSchema,
    kinds: Kinds,
    *,
    store: str,
    connection: str,
    schema: str = "public",
    root: str | None = None,
    purposes: Collection[str] = (),
    elsewhere: str | None = None,
) -> Draft:
    """Draft the map of one schema. ``purposes``: the keys of policy.yaml, where it is known.

    Raises :class:`NoRootError` for a root that is not there, cannot be guessed, or has no key of one column.
    """
    root = root or guess_root(live, kinds)
    found = live.tables.get(root)
    if found is None or len(found.primary_key) != 1:
        raise NoRootError(f"{root} is no table with a primary key of one column; name another with --root")
    pointing = edges(live, root)
    personal = {
        name
        for name, table in live.tables.items()
        for column, described in table.columns.items()
        if surely_personal(column, described.type, kinds.get(name, {}).get(column, ()))
    }
    roles = find_roles(live, pointing, root, dict(_mail(live, kinds, root)), personal)
    tables = [_table(name, live, kinds, roles, pointing, root, purposes) for name in live.tables]
    _corrections(live, tables, root)
    key = found.primary_key[0]
    key_type = _KEY_TYPES.get(found.columns[key].type, "text")
    described = _root(found, root, next(t for t in tables if t.name == root))
    return Draft(store, connection, schema, key_type, described, elsewhere, tables)


def _mail(live: LiveSchema, kinds: Kinds, root: str) -> Iterator[tuple[str, Mail]]:
    for name, table in live.tables.items():
        held = [
            column
            for column, described in table.columns.items()
            if is_mail(column, described.type, kinds.get(name, {}).get(column, ()))
        ]
        staff = vocabulary.STAFF.fullmatch(label(name))
        if held and name != root and not staff and table.kind == "table":
            other = [c for c in held if vocabulary.SOMEBODY_ELSE.fullmatch(label(c))]
            yield name, Mail((other or held)[0], bool(other))


def _table(
    name: str,
    live: LiveSchema,
    kinds: Kinds,
    roles: Roles,
    pointing: Collection[Edge],
    root: str,
    purposes: Collection[str],
) -> DraftTable:
    table, own = live.tables[name], roles.get(name, [])
    staff = vocabulary.STAFF.fullmatch(label(name)) is not None
    columns = draft_columns(
        table,
        kinds.get(name, {}),
        own,
        root_key=table.primary_key[0] if name == root else None,
        keys={c for edge in pointing if edge.table == name for c in edge.columns},
        staff=staff,
    )
    drafted = DraftTable(name, table.kind, columns, own)
    if any(column.personal for column in columns):
        drafted.purpose = vocabulary.guess_purpose(name, purposes)
    if own and own[0].deletes and vocabulary.MONEY.fullmatch(label(name)):
        drafted.checks.append(
            "must tax law keep these rows? then: erasure: {keep: {basis: legal_obligation, reason: …, until: "
            "{column: …, days: 3653}}, anonymise: {…}}"
        )
    if own and (soft := [c for c in table.columns if vocabulary.is_soft_delete(c)]) and name != root:
        drafted.notes.append(f"{soft[0]} only marks rows as deleted; erasure removes the marked ones too")
    if staff and not own and any(column.personal for column in columns):
        drafted.checks.append("are these employees only, whom no request of a customer reaches?")
    if table.kind == "foreign_table":
        drafted.checks.append("lives in another server: map it there, and drop it here")
    return drafted


def _corrections(live: LiveSchema, tables: Collection[DraftTable], root: str) -> None:
    """The root's address and names are facts that may be corrected; an address elsewhere is a copy."""
    for table in tables:
        for column in table.columns:
            category, text = (
                str(column.described["category"]),
                live.tables[table.name].columns[column.name].type,
            )
            if table.name == root and is_text(text):
                if category == "user.contact.email" and label(column.name) in (
                    "email",
                    "mail",
                    "email_address",
                ):
                    column.described |= {
                        "identifier": "email",
                        "rectify": {"field": "email", "format": "email"},
                    }
                elif category.startswith("user.name") or category == "user.account.username":
                    column.described["rectify"] = {"field": label(column.name), "format": "name"}
    addresses = [
        (table, column)
        for table in tables
        for column in table.columns
        if table.name != root
        and _is_copy(table, column)
        and is_text(live.tables[table.name].columns[column.name].type)
    ]
    has_fact = any(
        "identifier" in c.described and c.described["identifier"] == "email"
        for t in tables
        for c in t.columns
    )
    for _, column in addresses if has_fact else ():
        column.described["rectify"] = {"field": "email", "format": "email", "copy": True}
    _lengths(live, tables)


def _is_copy(table: DraftTable, column: DraftColumn) -> bool:
    """Whether the address is the row's owner's, in a row that goes with its owner."""
    if column.described["category"] != "user.contact.email" or "mail" not in label(column.name):
        return False
    if not table.roles or not table.roles[0].deletes:
        return False
    found_by = [role for role in table.roles if column.name in role.columns]
    return table.kind == "table" and (not found_by or found_by[0] is table.roles[0])


def _lengths(live: LiveSchema, tables: Collection[DraftTable]) -> None:
    """All columns of a field take what the shortest takes."""
    corrected = [(t.name, c) for t in tables for c in t.columns if "rectify" in c.described]
    shortest: dict[str, int] = {}
    for table, column in corrected:
        fact = column.described["rectify"]
        length = text_length(live.tables[table].columns[column.name].type)
        if length is not None and length < LONGEST[fact["format"]]:
            shortest[fact["field"]] = min(length, shortest.get(fact["field"], length))
    for _, column in corrected:
        if (length := shortest.get(column.described["rectify"]["field"])) is not None:
            column.described["rectify"]["max_length"] = length


def _root(table: LiveTable, name: str, drafted: DraftTable) -> DraftRoot:
    types = {column: described.type for column, described in table.columns.items()}
    deleted, ended = vocabulary.clock(types, "deleted"), vocabulary.clock(types, "ended")
    checks = []
    if deleted is None:
        checks.append("no column says when an account was deleted: add one of type timestamptz, and name it")
    if ended is None:
        checks.append("no column says when service ended: add one, or leave that of the deletion")
    for column in {deleted, ended} - {None}:
        if column and not types[column].endswith("with time zone"):
            checks.append(f"{column} is {types[column]} and names no instant: make it timestamptz")
    by_category = {str(c.described["category"]): c.name for c in reversed(drafted.columns)}
    language = next((c for c in types if label(c) in ("locale", "language", "lang")), None)
    email = next((c.name for c in drafted.columns if c.described.get("identifier") == "email"), None)
    if email is None:
        email = by_category.get("user.contact.email")
    fallback = deleted or "deleted_at"
    return DraftRoot(name, table.primary_key[0], ended or fallback, fallback, email, language, checks)
