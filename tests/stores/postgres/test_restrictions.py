"""Restrictions and the views that honour them, on real tables of two people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from include.privacy.planning.models import PlanError
from include.privacy.planning.restriction import Restriction, contact_mark
from include.privacy.policy.policy import Purpose
from include.privacy.stores.postgres import PostgresStore
from tests.stores.postgres.support import AS_OF, database, rows, run

KEY = bytes(range(32))
TABLES = """
CREATE TABLE person (id bigint PRIMARY KEY, email text NOT NULL);
CREATE TABLE review (id bigint PRIMARY KEY, learner bigint NOT NULL, mentor bigint, mentor_name text, words text);
CREATE TABLE vote (review bigint NOT NULL REFERENCES review (id), points int NOT NULL);
CREATE TABLE letter (email text PRIMARY KEY);
CREATE TABLE privacy_restrictions (account_id bigint NOT NULL, purpose text NOT NULL, reason text NOT NULL,
    since timestamptz NOT NULL, PRIMARY KEY (account_id, purpose, reason));
CREATE TABLE suppressed_contacts (mark bytea NOT NULL, purpose text NOT NULL, since timestamptz NOT NULL,
    PRIMARY KEY (mark, purpose));
INSERT INTO person VALUES (1, 'one@example.com'), (2, 'two@example.com'), (3, 'three@example.com');
INSERT INTO review VALUES (10, 1, 2, 'Two', '7'), (20, 2, 3, 'Three', 'secret of two'), (30, 3, NULL, NULL, '9');
INSERT INTO vote VALUES (10, 1), (20, 2), (30, 3);
INSERT INTO letter SELECT email FROM person;
INSERT INTO letter VALUES ('stranger@example.com');
"""  # noqa: E501 - rows read better on one line
PERSONAL, SYSTEM = "user.unique_id", "system.operations"


def shop(**change: Any) -> Any:
    tables: dict[str, Any] = {
        "person": {
            "subjects": {"self": {"path": "id", "erasure": "delete"}},
            "columns": {"id": PERSONAL, "email": {"category": "user.contact.email", "identifier": "email"}},
        },
        "review": {
            "purposes": ["analytics.x"],
            "subjects": {
                "learner": {"path": "learner", "erasure": "delete"},
                "mentor": {
                    "path": "mentor",
                    "erasure": {"anonymise": {"mentor": {"set": None}, "mentor_name": {"set": "erased"}}},
                },
            },
            "columns": {
                "id": SYSTEM,
                "learner": PERSONAL,
                "mentor": PERSONAL,
                "mentor_name": "user.name",
                "words": "user.content",
            },
        },
        "vote": {
            "purposes": ["analytics.x"],
            "subjects": {
                "learner": {
                    "path": {"columns": ["review"], "references": "review", "role": "learner"},
                    "erasure": "delete",
                }
            },
            "columns": {"review": SYSTEM, "points": "user.behavior"},
        },
        "letter": {
            "purposes": ["marketing.x"],
            "subjects": {"reader": {"path": {"column": "email", "identifier": "email"}, "erasure": "delete"}},
            "columns": {"email": "user.contact.email"},
        },
        "privacy_restrictions": {
            "subjects": {"self": {"path": "account_id", "erasure": "delete"}},
            "columns": {"account_id": PERSONAL, "purpose": SYSTEM, "reason": SYSTEM, "since": SYSTEM},
        },
        "suppressed_contacts": {"columns": {"mark": SYSTEM, "purpose": SYSTEM, "since": SYSTEM}},
    }
    tables.update(change)
    return database({name: table for name, table in tables.items() if table is not None})


class Shop:
    """A database whose owner makes the views, and a role that reads through them."""

    def __init__(self, dsn: str, reader_dsn: str) -> None:
        self.dsn, self.reader_dsn = dsn, reader_dsn
        self.reader = str(conninfo_to_dict(reader_dsn)["user"])
        self.store = PostgresStore(shop(), dsn)

    def purposes(self, *, basis: str = "legitimate_interests") -> dict[str, Purpose]:
        return {
            key: Purpose.model_validate({"title": key, "legal_basis": basis, "reader": self.reader})
            for key in ("analytics.x", "marketing.x")
        }

    def seen(self, table: str, columns: str = "*", schema: str = "for_analytics_x") -> list[tuple[Any, ...]]:
        return rows(self.reader_dsn, f"SELECT {columns} FROM {schema}.{table} ORDER BY 1")

    def restrict(self, *keys: int, purpose: str = "analytics.x", reason: Any = "objection") -> int:
        return self.store.restrict(map(str, keys), [purpose], reason, AS_OF)


@pytest.fixture
def place(fresh_database: Callable[..., str], fresh_role: Callable[[str], str]) -> Shop:
    dsn = fresh_database()
    run(dsn, *TABLES.strip().split(";\n"))
    made = Shop(dsn, fresh_role(dsn))
    made.store.migrate_views(made.purposes())
    return made


def test_an_objection_takes_effect_in_the_very_next_query_and_lifting_it_too(place: Shop) -> None:
    with psycopg.connect(place.reader_dsn, autocommit=True) as job:
        query = "SELECT learner FROM for_analytics_x.review ORDER BY 1"
        assert job.execute(query).fetchall() == [(1,), (2,), (3,)]
        place.restrict(2)
        assert job.execute(query).fetchall() == [(1,), (3,)]
        place.store.lift(["2"], ["analytics.x"], "objection")
        assert job.execute(query).fetchall() == [(1,), (2,), (3,)]


def test_rows_that_only_lead_to_the_person_are_hidden_too(place: Shop) -> None:
    place.restrict(2)
    assert place.seen("vote") == [(10, 1), (30, 3)]


def test_whoever_is_only_mentioned_is_left_out_of_the_row(place: Shop) -> None:
    place.restrict(3)
    assert place.seen("review", "id, mentor, mentor_name") == [(10, 2, "Two"), (20, None, None)]


def test_a_row_known_by_an_identifier_is_hidden_and_a_strangers_is_not(place: Shop) -> None:
    place.restrict(2, purpose="marketing.x")
    seen = place.seen("letter", schema="for_marketing_x")
    assert seen == [("one@example.com",), ("stranger@example.com",), ("three@example.com",)]
    assert len(place.seen("review")) == 3, "another purpose is not touched"


def test_a_restriction_closes_every_purpose(place: Shop) -> None:
    place.restrict(2, purpose="*", reason="restriction")
    assert place.seen("review", "learner") == [(1,), (3,)]
    assert len(place.seen("letter", schema="for_marketing_x")) == 3


def test_a_restriction_leaves_legal_obligations_alone(place: Shop) -> None:
    place.store.migrate_views(place.purposes(basis="legal_obligation"))
    place.restrict(2, purpose="*", reason="restriction")
    assert place.seen("review", "learner") == [(1,), (2,), (3,)]
    place.restrict(2)
    assert place.seen("review", "learner") == [(1,), (3,)]


def test_a_failing_cast_does_not_name_what_is_hidden(place: Shop) -> None:
    """Without a security barrier the job's own condition would run first, and its error tell the value."""
    job = "SELECT learner FROM for_analytics_x.review WHERE words::int > 7"
    with pytest.raises(psycopg.DataError, match="secret of two"):
        rows(place.reader_dsn, job)
    place.restrict(2)
    assert rows(place.reader_dsn, job) == [(3,)]


def test_a_reader_has_no_right_to_any_table(place: Shop) -> None:
    for table in ("person", "review", "letter", "privacy_restrictions", "suppressed_contacts"):
        for query in (f"SELECT * FROM {table}", f"DELETE FROM {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                rows(place.reader_dsn, query)
    for verb in ("DELETE FROM for_analytics_x.review", "UPDATE for_analytics_x.review SET words = ''"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(place.reader_dsn, verb)
    assert place.store.read_views(place.purposes()).direct == {}


def test_a_reader_that_can_go_around_its_views_is_found(place: Shop) -> None:
    run(place.dsn, f"GRANT SELECT (words) ON review TO {place.reader}")
    assert place.store.read_views(place.purposes()).direct == {place.reader: ["review"]}


def test_restricting_twice_changes_nothing_and_keeps_the_first_instant(place: Shop) -> None:
    assert place.store.restrict(["1", "2"], ["analytics.x", "marketing.x"], "objection", AS_OF) == 4
    later = AS_OF + timedelta(days=1)
    assert place.store.restrict(["1", "2", "3"], ["analytics.x"], "objection", later) == 1
    assert place.store.restricted(["1", "3", "4"]) == {
        "1": (
            Restriction("analytics.x", "objection", AS_OF),
            Restriction("marketing.x", "objection", AS_OF),
        ),
        "3": (Restriction("analytics.x", "objection", later),),
    }


def test_what_one_reason_lifts_another_still_holds(place: Shop) -> None:
    place.restrict(2)
    place.restrict(2, purpose="*", reason="restriction")
    assert place.store.lift(["2"], None, "restriction") == 1
    assert place.store.lift(["2"], None, "restriction") == 0
    assert place.seen("review", "learner") == [(1,), (3,)]
    assert place.store.lift(["2"], ["marketing.x"], "objection") == 0
    assert place.store.lift(["2"], ["analytics.x"], "objection") == 1
    assert len(place.seen("review")) == 3


def test_a_key_that_cannot_be_one_is_nobody(place: Shop) -> None:
    assert place.store.restrict(["1; DROP TABLE person", "", "x"], ["analytics.x"], "objection", AS_OF) == 0
    assert place.store.restricted(["x"]) == {}


def test_a_purpose_that_cannot_be_one_and_an_instant_without_zone_are_refused(place: Shop) -> None:
    with pytest.raises(ValueError, match="key of policy") as caught:
        place.store.restrict(["1"], ["ada@example.com"], "objection", AS_OF)
    assert "ada" not in str(caught.value)
    with pytest.raises(ValueError, match="timezone-aware"):
        place.store.restrict(["1"], ["analytics.x"], "objection", AS_OF.replace(tzinfo=None))


def test_a_database_without_the_tables_says_what_is_missing(place: Shop) -> None:
    bare = PostgresStore(shop(privacy_restrictions=None, suppressed_contacts=None), place.dsn)
    with pytest.raises(LookupError, match="maps no table privacy_restrictions"):
        bare.restricted(["1"])
    with pytest.raises(LookupError, match="maps no table suppressed_contacts"):
        bare.suppress([bytes(32)], "marketing.x", AS_OF)


def test_the_suppression_list_takes_marks_once_and_shows_each_purpose_its_own(place: Shop) -> None:
    marks = [contact_mark(KEY, "email", f"{n}@example.com") for n in ("one", "two")]
    assert place.store.suppress(marks, "marketing.x", AS_OF) == 2
    assert place.store.suppress([*marks, *marks], "marketing.x", AS_OF + timedelta(days=1)) == 0
    assert place.store.suppress(marks[:1], "marketing.y", AS_OF) == 1
    seen = place.seen("suppressed_contacts", "mark, since", "for_marketing_x")
    assert {bytes(mark) for mark, _ in seen} == set(marks)
    assert {since for _, since in seen} == {AS_OF}
    assert place.store.lift_suppression(marks[:1], "marketing.x") == 1
    assert len(place.seen("suppressed_contacts", schema="for_marketing_x")) == 1


def test_an_address_cannot_be_written_to_the_suppression_list_by_mistake(place: Shop) -> None:
    with pytest.raises(ValueError, match="a mark has 32 bytes"):
        place.store.suppress([b"ada@example.com"], "marketing.x", AS_OF)


def test_views_follow_the_map(place: Shop) -> None:
    """A column that went, a table that serves the purpose no longer, and a view of somebody else's."""
    run(place.dsn, "CREATE VIEW for_analytics_x.mine AS SELECT 1 AS one")
    review = shop().tables["review"].model_dump(exclude_none=True)
    review["columns"]["words"]["purposes"] = ["essential.x"]
    review["subjects"] = {"learner": {"path": "learner", "erasure": "delete"}}
    smaller = PostgresStore(shop(review=review, vote=None), place.dsn)
    assert smaller.migrate_views(place.purposes()) == 3
    assert smaller.migrate_views(place.purposes()) == 3
    live = smaller.read_views(place.purposes()).views
    assert live["for_analytics_x", "review"] == ("id", "learner", "mentor", "mentor_name")
    assert ("for_analytics_x", "vote") not in live
    assert ("for_analytics_x", "mine") in live
    place.restrict(2)
    assert place.seen("review", "learner") == [(1,), (3,)]


def test_a_reader_that_was_replaced_sees_nothing_any_more(
    place: Shop, fresh_role: Callable[[str], str]
) -> None:
    new = Shop(place.dsn, fresh_role(place.dsn))
    new.store.migrate_views(new.purposes())
    assert len(new.seen("review")) == 3
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        place.seen("review")


def test_a_role_or_schema_that_is_missing_is_named_with_the_remedy(
    place: Shop, fresh_role: Callable[[str], str]
) -> None:
    unknown = Purpose(title="x", legal_basis="consent", reader="nobody_of_that_name")
    with pytest.raises(PlanError, match="run the statements of"):
        place.store.migrate_views({"analytics.x": unknown})
    guest = PostgresStore(shop(), fresh_role(place.dsn))
    with pytest.raises(PlanError, match="InsufficientPrivilege"):
        guest.migrate_views({"analytics.other": unknown, "analytics.x": unknown})


def test_the_printed_statements_are_those_that_run(place: Shop, fresh_database: Callable[..., str]) -> None:
    copy = fresh_database()
    run(copy, *TABLES.strip().split(";\n"), "CREATE SCHEMA for_analytics_x", "CREATE SCHEMA for_marketing_x")
    run(copy, *place.store.view_statements(place.purposes()))
    views = PostgresStore(shop(), copy).read_views(place.purposes()).views
    assert views == place.store.read_views(place.purposes()).views
    run(copy, "DROP SCHEMA for_analytics_x, for_marketing_x CASCADE")


def test_the_instants_are_what_was_given(place: Shop) -> None:
    moment = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)
    place.store.restrict(["1"], ["analytics.x"], "objection", moment)
    assert place.store.restricted(["1"])["1"][0].since == moment
