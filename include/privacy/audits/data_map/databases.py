"""Whether a database is as its map says: tables, columns, types, keys, schemas, and what values look like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from include.privacy.audits.data_map.findings import CONTENT_CODES, MapFinding, about, of_content
from include.privacy.audits.data_map.vendors import vendor_in
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.documents import Document
from include.privacy.policy.live import differences
from include.privacy.policy.live_schema import LiveSchema
from include.privacy.policy.looks import CATEGORIES, Kind
from include.privacy.policy.policy import Policy
from include.privacy.policy.promised import unpromised
from include.privacy.policy.purpose_views import LiveViews, compare_views, purpose_views

if TYPE_CHECKING:
    from include.privacy.stores.postgres.sampling import Sample

CODES = (
    "unknown_table",
    "unknown_column",
    "missing_table",
    "missing_column",
    "unmapped_foreign_key",
    "does_not_fit",
    "unknown_schema",
    "changed_type",
    "unknown_processor",
    "category_not_promised",
    *CONTENT_CODES,
)
Types = Mapping[str, Mapping[str, str]]
"""Table → column → type, as PostgreSQL prints it."""


def judge_schema(
    db: DatabaseMap, live: LiveSchema, policy: Policy, document: Document | None = None
) -> Iterator[MapFinding]:
    """What map and catalogue do not agree on."""
    for code, problem in differences(db, live, document, policy):
        yield MapFinding(code, problem.message, problem.fix, _promise(db, policy, problem.field))


def judge_views(
    db: DatabaseMap, views: LiveViews, policy: Policy, document: Document | None = None
) -> Iterator[MapFinding]:
    """Views for the platform's jobs that are not as map and policy say."""
    file = document or Document(f"(data map of {db.store})")
    for problem in compare_views(db, policy.purposes, views, file):
        yield MapFinding("does_not_fit", problem.message, problem.fix, about(policy, None))


def judge_other_schemas(
    db: DatabaseMap, schemas: Mapping[str, int], mapped: frozenset[str], policy: Policy, ours: str
) -> Iterator[MapFinding]:
    """``schemas``: how many tables each holds; ``mapped``: those of other stores in this database."""
    views = {view.schema for view in purpose_views(db, policy.purposes)}
    for name in sorted(schemas.keys() - {db.schema_, ours} - mapped - views - db.other_schemas.keys()):
        yield MapFinding(
            "unknown_schema",
            f"the database has a schema {name} with {schemas[name]} tables that no map knows",
            f"map it in a file of its own, or say under other_schemas of {db.store} why nobody is in it",
        )


def types_of(db: DatabaseMap, live: LiveSchema) -> dict[str, dict[str, str]]:
    """The types of all mapped columns that exist."""
    return {
        name: {c: found.type for c, found in table.columns.items() if c in db.tables[name].columns}
        for name, table in live.tables.items()
        if name in db.tables
    }


def judge_types(db: DatabaseMap, before: Types, now: Types, policy: Policy) -> Iterator[MapFinding]:
    """Columns whose type is not what it was when this map was first looked at."""
    for table, columns in now.items():
        for column, type_ in columns.items():
            was = before.get(table, {}).get(column, type_)
            if was != type_:
                yield MapFinding(
                    "changed_type",
                    f"{table}.{column} was {was} when the map was written, and is {type_}",
                    f"see what it holds now, and say so in the map of {db.store} (any change of it confirms)",
                    about(policy, db.tables[table].columns[column].category),
                )


def judge_categories(db: DatabaseMap, policy: Policy) -> Iterator[MapFinding]:
    """Data that the map admits and the policy does not name."""
    places: dict[str, list[str]] = {}
    for name, table in db.tables.items():
        if not table.subjects:  # of employees, whom this policy does not speak to
            continue
        for column, described in table.columns.items():
            places.setdefault(described.category, []).append(f"{name}.{column}")
    for category in unpromised(policy, places):
        yield MapFinding(
            "category_not_promised",
            f"{', '.join(places[category][:5])} hold {category}, which no promise names",
            "stop collecting it, or have the policy say so and list it under categories of a promise",
        )


def judge_names(db: DatabaseMap, live: LiveSchema, processors: frozenset[str]) -> Iterator[MapFinding]:
    """Tables and columns called after a company that is no mapped processor."""
    for name, table in live.tables.items():
        mapped = db.tables[name].columns if name in db.tables else {}
        for label in (name, *table.columns):
            excused = label in mapped and Kind.processor in mapped[label].looks_like
            if (vendor := vendor_in(label, processors)) and not excused:
                yield MapFinding(
                    "unknown_processor",
                    f"{name if label == name else f'{name}.{label}'} is called after {vendor}, "
                    "which is no mapped processor",
                    f"map it as config/processors/{vendor}.yaml, or drop what is left of it",
                )


def to_sample(db: DatabaseMap, live: LiveSchema) -> dict[str, dict[str, str]]:
    """The columns whose values are looked at: those that the map says are not personal, and unknown ones.

    What the map says is personal is never read.
    """
    wanted: dict[str, dict[str, str]] = {}
    for name, table in live.tables.items():
        if table.kind == "foreign_table":  # somebody else's database; the table itself is the alarm
            continue
        known = db.tables[name].columns if name in db.tables else {}
        wanted[name] = {
            c: found.type for c, found in table.columns.items() if c not in known or not known[c].personal
        }
    return wanted


def judge_contents(db: DatabaseMap, samples: Mapping[str, Sample], policy: Policy) -> Iterator[MapFinding]:
    """What sampled values look like where the map says that nothing is personal, or says nothing."""
    settings = policy.sampling
    for table, sample in samples.items():
        known = db.tables[table].columns if table in db.tables else {}
        for column, tally in sample.columns.items():
            excused = known[column].looks_like if column in known else {}
            for kind, count in sorted(tally.kinds(settings.share, settings.at_least).items()):
                if kind in excused:
                    continue
                fix = f"map it as {CATEGORIES[kind]} or stop writing it there; where it is none, say why: "
                fix += f"looks_like: {{{kind}: …}}"
                yield of_content(policy, kind, count, tally.looked, f"{table}.{column}", fix)


def not_looked_at(db: DatabaseMap, samples: Mapping[str, Sample]) -> list[str]:
    """Mapped columns that could not be read; of unmapped ones the alarm itself is enough."""
    return [
        f"{table}.{column}: {reason}"
        for table, sample in samples.items()
        if table in db.tables
        for column, reason in sample.unread.items()
        if column in db.tables[table].columns
    ]


def _promise(db: DatabaseMap, policy: Policy, field: str) -> str:
    """Of a mapped column: the promise about its category. ``field``: ``tables.accounts.columns.email``."""
    parts = field.split(".")
    if len(parts) == 4 and parts[0] == "tables" and parts[2] == "columns":
        described = db.tables[parts[1]].columns.get(parts[3])
        return about(policy, described.category if described else None)
    return about(policy, None)
