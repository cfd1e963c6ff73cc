"""Requests of people: what one, a hundred and a thousand in a cohort cost, and how fast an export streams."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg

from include.privacy.archives.access import AccessArchive
from include.privacy.archives.contents import open_contents
from include.privacy.archives.information import Answer
from include.privacy.archives.writer import new_passphrase
from include.privacy.planning.models import Cohort, Member
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.loading import Config, load_config
from include.privacy.stores.postgres import PostgresStore
from include.sandbox.bench.databases import OpenGate
from include.sandbox.bench.measure import Report, counted_statements, median, peak_mib, seconds
from include.sandbox.platform.seed import create_schema, seed
from include.sandbox.world import World

AS_OF = datetime(2026, 3, 31, tzinfo=UTC)
PEOPLE = 2_500
SIZES = (1, 100, 1_000)
ROWS = 1_000_000
REPEATS = 3


def cohorts(world: World, report: Report) -> None:
    """Access and erasure of cohorts of growing size, in both databases of the platform."""
    config, stores = _platform(world)
    with psycopg.connect(world.dsn("accounts")) as accounts:
        rows = accounts.execute(
            "SELECT id::text FROM accounts WHERE status = 'active' ORDER BY id"
        ).fetchall()
    keys = iter([row[0] for row in rows])
    for size in SIZES:
        cohort = _cohort(stores, [next(keys) for _ in range(size)])
        with counted_statements() as count:
            took = seconds(partial(_archives, config, stores, cohort))
        report.add(
            f"access of {size:,} people", ms_a_person=1000 * took / size, statements_a_person=count[0] / size
        )
        with counted_statements() as count:
            took = seconds(partial(_erase, stores, cohort))
        report.add(
            f"erasure of {size:,} people", ms_a_person=1000 * took / size, statements_a_person=count[0] / size
        )


def export(world: World, report: Report) -> None:
    """One person with a million attempts: rows streamed as JSON, against COPY of the same rows."""
    _, stores = _platform(world)
    with psycopg.connect(world.dsn("practice"), autocommit=True) as practice:
        row = practice.execute("SELECT min(account_id) FROM learners").fetchone()
        assert row is not None
        person = int(row[0])
        practice.execute(
            """INSERT INTO attempts (learner_id, exercise_id, attempted_at, duration_ms, score, completed)
               SELECT %s, 1, (SELECT max(attempted_at) FROM attempts), n %% 90000, n %% 100, true
               FROM generate_series(1, %s) n""",
            (person, ROWS),
        )
        practice.execute("ANALYZE attempts")
    cohort = _cohort(stores, [str(person)])
    practice_store = [store for store in stores if store.name == "practice"]

    def copied() -> None:
        with psycopg.connect(world.dsn("practice")) as practice, practice.cursor() as cursor:
            query = "COPY (SELECT * FROM attempts WHERE learner_id = {}) TO STDOUT"
            with cursor.copy(query.format(person).encode()) as copy:
                for _ in copy:
                    pass

    def streamed() -> None:
        with open_contents(practice_store, cohort) as people:
            for each in people:
                for extract in each.extracts():
                    if extract.collection.table == "attempts":
                        for _ in extract.lines():
                            pass

    streamed()
    by_copy = median([seconds(copied) for _ in range(REPEATS)])
    by_us = median([seconds(streamed) for _ in range(REPEATS)])
    memory = peak_mib(streamed)
    report.add(
        "export of a million rows", seconds=by_us, copy=by_copy, ratio=by_us / by_copy, peak_mib=memory
    )


def _platform(world: World) -> tuple[Config, list[PostgresStore]]:
    """The platform's two databases, filled anew, as stores."""
    for name in ("accounts", "practice"):
        world.postgres.drop_database(name)
        world.postgres.create_database(name, "platform")
    create_schema(world.dsn("accounts", "platform"), world.dsn("practice", "platform"))
    seed(world.dsn("accounts"), world.dsn("practice"), people=PEOPLE, as_of=AS_OF)
    config = load_config()
    stores = [
        PostgresStore(mapped, world.dsn(mapped.store))
        for mapped in config.data_map.stores
        if isinstance(mapped, DatabaseMap)
    ]
    for store in stores:
        store.migrate_workspace()
    return config, stores


def _cohort(stores: list[PostgresStore], keys: list[str]) -> Cohort:
    found: dict[str, dict[str, tuple[str, ...]]] = {key: {} for key in keys}
    for store in stores:
        for member in store.freeze_identifiers(keys):
            for kind, values in member.identifiers.items():
                found[member.key][kind] = tuple(dict.fromkeys((*found[member.key].get(kind, ()), *values)))
    people = [Member(key, identifiers) for key, identifiers in found.items()]

    def members() -> Iterator[Member]:
        return iter(people)

    return Cohort(uuid4(), len(people), members)


def _archives(config: Config, stores: list[PostgresStore], cohort: Cohort) -> None:
    with open_contents(stores, cohort) as people:
        for person in people:
            answer = Answer(str(uuid4()), AS_OF, AS_OF)
            for _ in AccessArchive(person.extracts(), answer, config).packed(new_passphrase()):
                pass


def _erase(stores: list[PostgresStore], cohort: Cohort) -> None:
    gate: Any = OpenGate()
    for store in stores:
        plan = store.plan_erasure(cohort, uuid4(), as_of=AS_OF)
        for shard in range(plan.shards):
            store.execute(plan, cohort, gate, shard=shard)
        store.probe(plan, cohort)
        store.finish(plan)
