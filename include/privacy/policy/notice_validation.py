"""What is wrong in ``config/notices/``, as far as no letter need be rendered to see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.differences import differences
from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.notices import NoticeHead, NoticeSettings, PolicyNotice
from include.privacy.policy.policy import Policy
from include.privacy.policy.problems import Problem, suggestion


def notice_problems(
    notice: PolicyNotice, current: Policy | None, policy_document: Document
) -> Iterator[Problem]:
    """Where the folder contradicts itself or the policy that is in force."""
    head, document = notice.head, notice.document
    folder = Path(notice.folder).name
    if folder != head.version:
        yield document.problem(
            ("version",), f"is {head.version}, and the folder {folder}", "give both the same name"
        )
    if notice.policy.version != head.version:
        said = f"is {notice.policy.version}, and notice.yaml announces {head.version}"
        yield policy_document.problem(("version",), said, f"write {head.version}")
    if notice.policy.effective != head.effective:
        said = "is not the date that notice.yaml announces"
        yield policy_document.problem(("effective",), said, f"write {head.effective}")
    yield from _silent(head, document)
    if current is not None and current.version == head.previous:
        yield from _untold(notice, current)
    elif current is not None and current.version == head.version and current != notice.policy:
        said = "is not the policy that config/policy.yaml has under this version"
        yield policy_document.problem((), said, "announce what applies")


def _silent(head: NoticeHead, document: Document) -> Iterator[Problem]:
    """Texts of changes that are missing in a language."""
    for index, change in enumerate(head.changes):
        texts: dict[str, Mapping[str, str]] = {
            "summary": change.summary,
            "before": change.before,
            "after": change.after,
        }
        for part, said in texts.items():
            if part != "summary" and not any(said.values()):
                continue
            if missing := [each for each in head.languages if not said.get(each, "").strip()]:
                where = ("changes", index, part)
                yield document.problem(where, f"says nothing in {', '.join(missing)}", "write it")


def _untold(notice: PolicyNotice, current: Policy) -> Iterator[Problem]:
    """Differences of the two policies that the notice does not tell."""
    head, document = notice.head, notice.document
    found = {each.promise for each in differences(current, notice.policy)}
    told = {change.promise for change in head.changes}
    if found and not head.material:
        yield document.problem(
            ("material",),
            f"is false, and the policies differ in what they promise ({', '.join(sorted(found))})",
            "write true: only an editorial change needs no notice",
        )
    for promise in sorted(found - told):
        yield document.problem(
            ("changes",), f"does not tell of {promise}, in which the two policies differ", "add it"
        )
    if unknown := sorted(told - set(notice.policy.promises) - set(current.promises)):
        said = f"tells of {', '.join(unknown)}, which neither policy has"
        yield document.problem(("changes",), said, "correct the promise")


def succession_problems(notices: Iterable[PolicyNotice]) -> Iterator[Problem]:
    """Effective dates that are not in the order in which the versions follow each other."""
    by_version = {each.head.version: each for each in notices}
    for each in by_version.values():
        before = by_version.get(each.head.previous)
        if before is not None and before.head.effective >= each.head.effective:
            said = f"is not after that of {before.head.version}, which it follows"
            yield each.document.problem(("effective",), said, "name a later day")


def acceptance_problems(
    settings: NoticeSettings, document: Document, stores: Sequence[DatabaseMap | BucketMap]
) -> Iterator[Problem]:
    """Stores, tables and columns of ``acceptances`` that the map does not know."""
    databases = {s.store: s for s in stores if isinstance(s, DatabaseMap)}
    root = next((s for s in databases.values() if s.root is not None), None)
    named = settings.acceptances
    where: Loc = ("acceptances",)
    if root is not None:
        yield from _columns(
            root,
            document,
            where,
            "documents",
            named.documents,
            named,
            ("document_version", "document_effective"),
        )
        yield from _columns(root, document, where, "table", named.table, named, ("person", "version", "at"))
    use = named.use
    database = databases.get(use.store)
    if database is None:
        yield document.problem(
            (*where, "use", "store"),
            f"is {use.store!r}, no database of the map",
            suggestion(use.store, databases),
        )
        return
    yield from _columns(database, document, (*where, "use"), "table", use.table, use, ("person", "at"))


def _columns(
    database: DatabaseMap,
    document: Document,
    where: Loc,
    field: str,
    table: str,
    named: object,
    columns: Sequence[str],
) -> Iterator[Problem]:
    mapped = database.tables.get(table)
    if mapped is None:
        yield document.problem(
            (*where, field), f"{database.store} maps no table {table!r}", suggestion(table, database.tables)
        )
        return
    for each in columns:
        column = getattr(named, each)
        if column not in mapped.columns:
            yield document.problem(
                (*where, each), f"{table} has no column {column!r}", suggestion(column, mapped.columns)
            )
