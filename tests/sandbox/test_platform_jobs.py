"""The platform's own jobs: whoever objects is missing from the very next run, and nobody else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.privacy.planning.models import Cohort, Holds
from include.privacy.planning.restriction import contact_mark
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.loading import ROOT, Config, load_config
from include.privacy.policy.purpose_views import compare_views
from include.privacy.stores.postgres import PostgresStore
from include.sandbox.platform import jobs
from include.sandbox.platform.people import MARKERS
from include.sandbox.postgres import DAG_ROLE, JOB_ROLES

if TYPE_CHECKING:
    from tests.conftest import Platform

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
KEY = bytes(range(32))
RECOMMENDING, ANALYSING, MARKETING = (
    "personalize.content",
    "analytics.reporting",
    "marketing.communications.email",
)
MARKER = MARKERS[1]


@contextmanager
def as_role(platform: Platform, store: str, role: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(platform.dsn(store, role), autocommit=True) as connection:
        yield connection


def ask(platform: Platform, store: str, query: str, *values: Any) -> list[Any]:
    with psycopg.connect(platform.dsn(store)) as owner:
        return [row[0] for row in owner.execute(query.encode(), values or None)]


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(ROOT / "config")


def stores_of(platform: Platform, config: Config) -> dict[str, PostgresStore]:
    made = {}
    for name in ("accounts", "practice"):
        mapped = config.data_map[name]
        assert isinstance(mapped, DatabaseMap)
        made[name] = PostgresStore(mapped, platform.dsn(name, DAG_ROLE))
    return made


@pytest.fixture
def stores(platform: Platform, config: Config) -> dict[str, PostgresStore]:
    return stores_of(platform, config)


def recommended(platform: Platform) -> set[int]:
    with as_role(platform, "practice", jobs.RECOMMENDER) as connection:
        return set(jobs.recommend(connection))


def counted(platform: Platform) -> int:
    with as_role(platform, "practice", jobs.ANALYTICS) as connection:
        return sum(line.attempts for line in jobs.analyse(connection))


def mailed(platform: Platform) -> set[str]:
    with as_role(platform, "accounts", jobs.MARKETING) as connection:
        return set(jobs.newsletter(connection, KEY))


def subscribe(platform: Platform, email: str) -> None:
    """What an import of a list does."""
    with psycopg.connect(platform.dsn("accounts")) as owner:
        owner.execute("INSERT INTO newsletter_subscribers VALUES (%s, NULL, NULL, now(), now())", (email,))


def test_a_recommendation_stops_with_the_objection_and_comes_back_when_it_is_lifted(
    platform: Platform, stores: dict[str, PostgresStore]
) -> None:
    before = recommended(platform)
    who = min(before)
    stores["practice"].restrict([str(who)], [RECOMMENDING], "objection", AT)
    assert recommended(platform) == before - {who}
    stores["practice"].lift([str(who)], [RECOMMENDING], "objection")
    assert recommended(platform) == before


def test_the_analytics_count_without_whoever_objected(
    platform: Platform, stores: dict[str, PostgresStore]
) -> None:
    before = counted(platform)
    assert before == ask(platform, "practice", "SELECT count(*) FROM attempts")[0]
    stores["practice"].restrict([str(MARKER.account_id)], [ANALYSING], "objection", AT)
    assert counted(platform) == before - 20
    assert MARKER.account_id not in recommended(platform), "who objected to that long ago"


def test_the_newsletter_leaves_out_whoever_objected_under_a_former_address_too(
    platform: Platform, stores: dict[str, PostgresStore]
) -> None:
    before = mailed(platform)
    assert MARKER.emails[0] in before
    subscribe(platform, MARKER.emails[1])
    assert MARKER.emails[1] in mailed(platform)
    stores["accounts"].restrict([str(MARKER.account_id)], [MARKETING], "objection", AT)
    assert mailed(platform) == before - {MARKER.emails[0]}


def test_under_a_restriction_no_job_sees_the_person(
    platform: Platform, stores: dict[str, PostgresStore]
) -> None:
    people, attempts, letters = recommended(platform), counted(platform), mailed(platform)
    readers = ask(platform, "accounts", "SELECT id FROM accounts WHERE email = ANY(%s)", list(letters))
    who = min(people & set(readers))
    for store in stores.values():
        store.restrict([str(who)], ["*"], "restriction", AT)
    assert recommended(platform) == people - {who}
    assert counted(platform) == attempts - 20
    assert len(mailed(platform)) == len(letters) - 1
    for store in stores.values():
        store.lift([str(who)], ["*"], "restriction")
    assert (recommended(platform), counted(platform), mailed(platform)) == (people, attempts, letters)


def test_a_suppressed_address_is_caught_after_the_erasure_when_an_import_brings_it_back(
    platform: Platform, stores: dict[str, PostgresStore]
) -> None:
    accounts = stores["accounts"]
    address = MARKER.emails[0]
    members = list(accounts.freeze_identifiers([str(MARKER.account_id)]))
    accounts.suppress([contact_mark(KEY, "email", address)], MARKETING, AT)
    cohort = Cohort(uuid4(), 1, lambda: iter(members))
    plan = accounts.plan_erasure(cohort, uuid4(), as_of=AT)
    accounts.execute(plan, cohort, _no_holds)
    assert accounts.probe(plan, cohort).clean
    for email in (address, "reader@elsewhere.example"):
        subscribe(platform, email)
    letters = mailed(platform)
    assert address not in letters
    assert "reader@elsewhere.example" in letters
    held = ask(platform, "accounts", "SELECT t::text FROM suppressed_contacts t")
    assert len(held) == 1
    assert not any(needle in held[0] for needle in MARKER.needles), "no plain trace of the person survives"
    accounts.lift_suppression([contact_mark(KEY, "email", address)], MARKETING)
    assert address in mailed(platform), "they asked for it anew"


def test_the_roles_of_the_jobs_have_no_right_to_any_table(
    platform: Platform, stores: dict[str, PostgresStore], config: Config
) -> None:
    for name in ("accounts", "practice"):
        with psycopg.connect(platform.dsn(name)) as owner:
            rights = owner.execute(
                """SELECT r.rolname, n.nspname, c.relname FROM pg_roles r, pg_class c
                   JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE r.rolname = ANY(%s) AND n.nspname IN ('public', 'privacy_work')
                     AND (has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
                          OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))""",
                (list(JOB_ROLES),),
            ).fetchall()
        assert rights == []
        live = stores[name].read_views(config.policy.purposes)
        assert compare_views(stores[name].map, config.policy.purposes, live) == []


@pytest.mark.parametrize(
    ("role", "store", "foreign"),
    [
        (jobs.RECOMMENDER, "practice", "for_analytics_reporting.attempts"),
        (jobs.ANALYTICS, "practice", "for_personalize_content.learners"),
        (jobs.MARKETING, "accounts", "accounts"),
    ],
)
def test_a_job_sees_only_the_views_of_its_own_purpose(
    platform: Platform, role: str, store: str, foreign: str
) -> None:
    with as_role(platform, store, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"SELECT * FROM {foreign}".encode())


# Written by hand, not from the map: whose rows each view shows.
SUBJECTS: dict[tuple[str, str, str], str] = {
    ("practice", RECOMMENDING, "learners"): "SELECT account_id FROM {}",
    ("practice", RECOMMENDING, "attempts"): "SELECT learner_id FROM {}",
    ("practice", RECOMMENDING, "progress"): "SELECT learner_id FROM {}",
    ("practice", RECOMMENDING, "recommendations"): "SELECT learner_id FROM {}",
    ("practice", ANALYSING, "attempts"): "SELECT learner_id FROM {}",
    ("practice", ANALYSING, "attempt_events"): (
        "SELECT a.learner_id FROM {} e JOIN public.attempts a ON a.id = e.attempt_id"
    ),
    ("practice", ANALYSING, "progress"): "SELECT learner_id FROM {}",
    ("practice", ANALYSING, "exercise_ratings"): "SELECT learner_id FROM {}",
    ("accounts", MARKETING, "consents"): "SELECT account_id FROM {}",
    ("accounts", MARKETING, "newsletter_subscribers"): (
        "SELECT a.id FROM {} n JOIN public.accounts a ON a.email = n.email"
    ),
}


def test_the_list_written_by_hand_knows_every_view_of_people(
    config: Config, stores: dict[str, PostgresStore]
) -> None:
    from include.privacy.policy.purpose_views import purpose_views

    found = {
        (name, view.purpose, view.table)
        for name, store in stores.items()
        for view in purpose_views(store.map, config.policy.purposes)
        if view.hidden_for
    }
    assert found == SUBJECTS.keys()


@pytest.fixture(scope="module")
def lasting(platform_template: Platform) -> Iterator[Platform]:
    """A platform for all examples of the property; restrictions are all that they change."""
    from tests.conftest import Platform

    world = platform_template.world
    names = {s: f"{s}_{uuid4().hex[:10]}" for s in ("accounts", "practice")}
    for store, name in names.items():
        world.postgres.create_database(name, "platform", getattr(platform_template, store))
    yield Platform(world, **names, report=platform_template.report)
    for name in names.values():
        world.postgres.drop_database(name)


@pytest.fixture(scope="module")
def everybody(lasting: Platform) -> Callable[[str, str, str], list[int]]:
    """Whose rows the base tables hold, one entry for each row."""
    cache: dict[tuple[str, str, str], list[int]] = {}

    def of(store: str, purpose: str, table: str) -> list[int]:
        key = (store, purpose, table)
        if key not in cache:
            cache[key] = ask(lasting, store, SUBJECTS[key].format(f"public.{table}") + " ORDER BY 1")
        return cache[key]

    return of


PEOPLE = st.sets(st.integers(101, 398) | st.sampled_from([m.account_id for m in MARKERS]), max_size=120)
PURPOSES = (RECOMMENDING, ANALYSING, MARKETING)
WHAT = st.sampled_from([("*", "restriction"), *((purpose, "objection") for purpose in PURPOSES)])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(WHAT, PEOPLE), max_size=4))
def test_views_never_show_who_is_restricted_and_always_show_everybody_else(
    lasting: Platform,
    config: Config,
    everybody: Callable[[str, str, str], list[int]],
    drawn: list[tuple[tuple[str, Any], set[int]]],
) -> None:
    stores = stores_of(lasting, config)
    out: dict[str, set[int]] = {p: set() for p in PURPOSES}
    for name, store in stores.items():
        with psycopg.connect(lasting.dsn(name), autocommit=True) as owner:
            owner.execute("TRUNCATE privacy_restrictions")
        for (purpose, reason), people in drawn:
            store.restrict(map(str, people), [purpose], reason, AT)
    for (purpose, _), people in drawn:
        for key in out if purpose == "*" else [purpose]:
            out[key] |= people
    for (store_name, purpose, table), query in SUBJECTS.items():
        shown = ask(
            lasting, store_name, query.format(f"for_{purpose.replace('.', '_')}.{table}") + " ORDER BY 1"
        )
        assert shown == [who for who in everybody(store_name, purpose, table) if who not in out[purpose]]


@contextmanager
def _no_holds() -> Iterator[Holds]:
    yield Holds()
