"""What the models cannot see alone: whether the data map holds together (no I/O)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.data_map import DatabaseMap, StoreMap
from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.policy import Policy
from include.privacy.policy.problems import Problem, suggestion
from include.privacy.policy.purpose_views import view_problems
from include.privacy.policy.rectification_validation import rectification_problems
from include.privacy.policy.table_validation import table_problems


@dataclass(frozen=True)
class MappedStore:
    """A store of the data map and the file that describes it."""

    map: StoreMap
    document: Document


def data_map_problems(
    stores: Sequence[MappedStore], *, policy: Policy | None = None, complete: bool = True
) -> list[Problem]:
    """Problems inside the data map, and of its purposes where the policy is known.

    ``complete=False`` leaves out what cannot be judged while some files do not parse.
    """
    problems: list[Problem] = []
    sources = _identifier_sources(stores)
    for store in stores:
        if isinstance(store.map, DatabaseMap):
            problems += _root_problems(store.map, store.document)
            problems += table_problems(store.map, store.document, sources if complete else None)
        else:
            problems += _bucket_problems(store.map, store.document)
        if policy is not None:
            problems += _purpose_problems(store, policy)
            problems += view_problems(store.map, store.document, policy.purposes)
    databases = [(s.map, s.document) for s in stores if isinstance(s.map, DatabaseMap)]
    problems += rectification_problems(databases)
    if complete and stores:
        problems += _across(stores)
    return problems


def _root_problems(db: DatabaseMap, document: Document) -> Iterator[Problem]:
    root = db.root
    if root is None:
        return
    table = db.tables.get(root.table)
    if table is None:
        yield document.problem(
            ("root", "table"), "the map has no such table", suggestion(root.table, db.tables)
        )
        return
    named: list[tuple[Loc, str]] = [
        (("root", "key"), root.key),
        (("root", "lifecycle", "service_ended_at"), root.lifecycle.service_ended_at),
        (("root", "lifecycle", "deleted_at"), root.lifecycle.deleted_at),
        *((("root", "lifecycle", "on_deleted", c), c) for c in root.lifecycle.on_deleted),
        *(
            (("root", "contact", name), column)
            for name in ("email", "language")
            if root.contact and (column := getattr(root.contact, name))
        ),
    ]
    for loc, column in named:
        if column not in table.columns:
            yield document.problem(
                loc, f"{root.table} has no column {column} in the map", suggestion(column, table.columns)
            )
    owner = next(iter(table.subjects.values()), None)
    if owner is None or getattr(owner.path, "column", None) != root.key or not owner.erasure.delete:
        yield document.problem(
            ("tables", root.table, "subjects"),
            "the rows of the root table are the people themselves, and a purge ends with their deletion",
            f"write `subjects: {{self: {{path: {root.key}, erasure: delete}}}}`",
        )


def _bucket_problems(bucket: BucketMap, document: Document) -> Iterator[Problem]:
    prefixes: list[tuple[Loc, str]] = [
        *(
            (("content", i, "prefix"), c.prefix.removesuffix("{subject}/"))
            for i, c in enumerate(bucket.content)
        ),
        *((("backups", i, "prefix"), b.prefix) for i, b in enumerate(bucket.backups)),
        *((("archives", i, "prefix"), a.prefix) for i, a in enumerate(bucket.archives)),
    ]
    if not prefixes:
        yield document.problem(
            (),
            "the bucket has neither content nor backups nor archives",
            "map its prefixes, or remove the file",
        )
    if bucket.archives and bucket.kind != "s3":
        yield document.problem(
            ("archives",),
            "archives lie in S3: their links and keys are AWS's",
            "map them in a bucket of kind s3",
        )
    for index, (loc, prefix) in enumerate(prefixes):
        for _, other in prefixes[:index]:
            if prefix.startswith(other) or other.startswith(prefix):
                yield document.problem(
                    loc, f"overlaps with {other or '(the whole bucket)'}", "map each object once"
                )
    for index, content in enumerate(bucket.content):
        if not content.purposes:
            yield document.problem(
                ("content", index, "purposes"), "is empty", "say what the objects are kept for"
            )
    yield from _archive_problems(bucket, document)
    for index, backup in enumerate(bucket.backups):
        if backup.key_date is not None and "%" not in backup.key_date:
            yield document.problem(
                ("backups", index, "key_date"), "holds no date", f"write e.g. {backup.prefix}%Y-%m-%d/"
            )


def _archive_problems(bucket: BucketMap, document: Document) -> Iterator[Problem]:
    for index, archive in enumerate(bucket.archives):
        place: Loc = ("archives", index)
        dated = f"{archive.prefix}%Y-%m-%d/" if archive.holds == "invoices" else None
        if archive.key_date != dated:
            what = "must be the day of issue" if dated else "means nothing: keys of answers have no date"
            yield document.problem((*place, "key_date"), what, f"write {dated}" if dated else "remove it")
        if archive.holds in [a.holds for a in bucket.archives[:index]]:
            yield document.problem(
                (*place, "holds"), f"another prefix holds {archive.holds} already", "keep one of them"
            )


def _purpose_problems(store: MappedStore, policy: Policy) -> Iterator[Problem]:
    used: list[tuple[Loc, Iterable[str]]] = []
    if isinstance(store.map, DatabaseMap):
        for name, table in store.map.tables.items():
            used.append((("tables", name, "purposes"), table.purposes))
            used += [
                (("tables", name, "columns", c, "purposes"), col.purposes or ())
                for c, col in table.columns.items()
            ]
    else:
        used += [(("content", i, "purposes"), c.purposes) for i, c in enumerate(store.map.content)]
        used += [(("backups", i, "purposes"), b.purposes) for i, b in enumerate(store.map.backups)]
        used += [(("archives", i, "purposes"), a.purposes) for i, a in enumerate(store.map.archives)]
    for loc, purposes in used:
        for purpose in purposes:
            if purpose not in policy.purposes:
                yield store.document.problem(
                    loc, f"{purpose} is not a purpose of policy.yaml", suggestion(purpose, policy.purposes)
                )


def _across(stores: Sequence[MappedStore]) -> Iterator[Problem]:
    names = Counter(s.map.store for s in stores)
    databases = {s.map.store for s in stores if isinstance(s.map, DatabaseMap)}
    roots = [s for s in stores if isinstance(s.map, DatabaseMap) and s.map.root]
    for index, store in enumerate(stores):
        if names[store.map.store] > 1 and any(o.map.store == store.map.store for o in stores[:index]):
            yield store.document.problem(
                ("store",), f"another file describes {store.map.store}", "give each store one file"
            )
        for number, backup in enumerate(store.map.backups if isinstance(store.map, BucketMap) else ()):
            if backup.backup_of not in databases:
                yield store.document.problem(
                    ("backups", number, "backup_of"),
                    "is no mapped database",
                    suggestion(backup.backup_of, databases),
                )
    if not roots:
        yield stores[-1].document.problem(
            ("root",),
            "no store has a root",
            "add `root: {table: …, key: …, lifecycle: …}` to the one with the accounts",
        )
    for extra in roots[1:]:
        yield extra.document.problem(("root",), f"{roots[0].map.store} has the root already", "keep one")
    if len(roots) == 1 and stores[-1] is not roots[0]:
        yield roots[0].document.problem(
            ("root",),
            "the root store must come last: it is what a half-finished erasure is found by",
            "rename the file so that it sorts after all others",
        )


def _identifier_sources(stores: Sequence[MappedStore]) -> frozenset[str]:
    """The identifiers that some table yields without knowing them already."""
    found: set[str] = set()
    for store in stores:
        for table in store.map.tables.values() if isinstance(store.map, DatabaseMap) else ():
            needed = {getattr(subject.path, "identifier", None) for subject in table.subjects.values()}
            held = {c.identifier for c in table.columns.values() if c.identifier}
            found |= held if None in needed else set()
    return frozenset(found)
