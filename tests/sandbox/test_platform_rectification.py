"""Corrections on the platform with the shipped map: everywhere the field is held, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from include.privacy.planning.rectification import (
    Correction,
    RectificationOutcome,
    plan_rectification,
    with_previous,
    without_refused,
)
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.loading import ROOT, Config, load_config
from include.privacy.stores.postgres import PostgresStore
from include.sandbox.bench.measure import counted_statements
from include.sandbox.platform.people import MARKERS
from include.sandbox.postgres import DAG_ROLE
from tests.stores.postgres.support import Gate

if TYPE_CHECKING:
    from tests.conftest import Platform

MARKER = MARKERS[1]
WHO = str(MARKER.account_id)
OLD, NEW = MARKER.emails[0], "right.address@corrected.example"


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(ROOT / "config")


@pytest.fixture
def stores(platform: Platform, config: Config) -> dict[str, PostgresStore]:
    made = {}
    for name in ("accounts", "practice"):
        mapped = config.data_map[name]
        assert isinstance(mapped, DatabaseMap)
        made[name] = PostgresStore(mapped, platform.dsn(name, DAG_ROLE))
    return made


def ask(platform: Platform, store: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(platform.dsn(store), autocommit=True) as owner:
        return owner.execute(query.encode(), values or None).fetchall()


def tell(platform: Platform, store: str, query: str, *values: Any) -> None:
    with psycopg.connect(platform.dsn(store), autocommit=True) as owner:
        owner.execute(query.encode(), values or None)


def everything(platform: Platform, store: str) -> dict[str, list[str]]:
    """All rows of all tables, our work tables among them, as text."""
    with psycopg.connect(platform.dsn(store), options="-c timezone=UTC") as owner:
        names = owner.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN ('public', 'privacy_work') AND c.relkind IN ('r', 'p', 'm')"
            " AND NOT c.relispartition"
        ).fetchall()
        return {
            f"{schema}.{name}": sorted(
                row[0]
                for row in owner.execute(
                    sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, name))
                )
            )
            for schema, name in names
        }


def corrections(stores: dict[str, PostgresStore], values: dict[str, dict[str, str]]) -> list[Correction]:
    frozen = {m.key: m.identifiers for m in stores["accounts"].freeze_identifiers(values)}
    return [Correction(key, given, frozen[key]) for key, given in values.items()]


def rectify(
    stores: dict[str, PostgresStore], config: Config, asked: list[Correction], gate: Gate | None = None
) -> dict[str, RectificationOutcome]:
    """What the use case does: old values are known before anything is written, the root store goes first."""
    plan = plan_rectification(config.data_map, {n: v for c in asked for n, v in c.values.items()})
    batch, outcomes = uuid4(), {}
    for name in plan.stores:
        asked = with_previous(asked, stores[name].replaced_values(batch, asked))
    for name in plan.stores:
        outcomes[name] = stores[name].rectify(batch, asked, gate or Gate())
        asked = without_refused(asked, outcomes[name].refused)
        assert stores[name].check_rectified(batch, asked).clean
    for name in plan.stores:
        stores[name].finish_rectification(batch)
    return outcomes


def test_a_former_address_that_is_somebody_elses_by_now_leads_nowhere(
    platform: Platform, stores: dict[str, PostgresStore]
) -> None:
    theirs = str(ask(platform, "accounts", "SELECT email FROM accounts WHERE id = 101")[0][0])
    (before,) = stores["accounts"].freeze_identifiers([WHO])
    for email in (theirs, OLD):
        tell(platform, "accounts", "INSERT INTO former_emails (account_id, email, replaced_at)"
             " VALUES (%s, %s, now())", MARKER.account_id, email)  # fmt: skip
    (mine, other) = stores["accounts"].freeze_identifiers([WHO, "101"])
    assert mine.identifiers == before.identifiers and (before.not_followed, mine.not_followed) == (0, 1)
    assert theirs in other.identifiers["email"] and other.not_followed == 0
    assert stores["accounts"].holders("email", [theirs.upper()]) == {theirs.upper(): {WHO, "101"}}


def test_an_address_is_corrected_everywhere_and_the_old_one_is_nowhere_but_where_it_is_kept_on_purpose(
    platform: Platform, stores: dict[str, PostgresStore], config: Config
) -> None:
    tell(platform, "accounts", "INSERT INTO former_emails (account_id, email, replaced_at)"
         " VALUES (%s, %s, now())", MARKER.account_id, OLD)  # fmt: skip
    before = {name: everything(platform, name) for name in stores}
    done = rectify(stores, config, corrections(stores, {WHO: {"email": NEW}}))
    assert done["accounts"].replaced == {WHO: {"email": (OLD,)}}
    assert done["accounts"].changed == {"accounts.email": 1, "newsletter_subscribers.email": 1}
    assert done["practice"].changed == {"learners.settings.notification_email": 1}
    assert done["accounts"].removed["account_audit.old_email"] == 1, "the trigger's row"
    assert done["accounts"].removed["verification_tokens.sent_to"] == 1
    after = {name: everything(platform, name) for name in stores}
    holding = {
        table for tables in after.values() for table, rows in tables.items() if any(OLD in r for r in rows)
    }
    kept = {t.table for t in plan_rectification(config.data_map, {"email": NEW}).kept}
    # Free text and documents that quote the address are the letters and invoices as they were.
    written = {"ticket_messages", "ticket_attachments", "privacy_outbox", "invoices", "privacy_inbox"}
    assert holding <= {f"public.{t}" for t in kept | written}
    assert {"public.former_emails", "public.invoices"} <= holding
    for name, tables in after.items():
        for table, rows in tables.items():
            changed = [r for r in rows if r not in set(before[name][table])]
            assert all(NEW in r for r in changed), f"{table} was changed and has not the new address"
    assert ask(platform, "accounts", "SELECT email FROM accounts WHERE id = %s", MARKER.account_id) == [
        (NEW,)
    ]


def test_a_second_time_changes_nothing(
    platform: Platform, stores: dict[str, PostgresStore], config: Config
) -> None:
    asked = corrections(stores, {WHO: {"email": NEW, "full_name": "Right Name", "display_name": "Right"}})
    rectify(stores, config, asked)
    before = {name: everything(platform, name) for name in stores}
    done = rectify(stores, config, asked)
    assert {name: everything(platform, name) for name in stores} == before
    assert all(not any(o.changed.values()) and not any(o.removed.values()) for o in done.values())
    assert all(o.replaced == {} for o in done.values())


def test_a_name_is_corrected_in_the_signature_and_in_the_view_too(
    platform: Platform, stores: dict[str, PostgresStore], config: Config
) -> None:
    done = rectify(stores, config, corrections(stores, {WHO: {"display_name": "Right Name"}}))["practice"]
    reviews = ask(
        platform, "practice", "SELECT mentor_name FROM mentor_reviews WHERE mentor_id = %s", int(WHO)
    )
    assert len(reviews) == done.changed["mentor_reviews.mentor_name"] > 0
    assert set(reviews) == {("Right Name",)}
    shown = ask(platform, "practice", "SELECT display_name FROM leaderboard WHERE account_id = %s", int(WHO))
    assert shown == [("Right Name",)]
    mine = ask(platform, "practice", "SELECT mentor_name FROM mentor_reviews WHERE learner_id = %s", int(WHO))
    assert ("Right Name",) not in mine, "the mentor of a review about them is somebody else"


def test_a_notification_address_that_differs_on_purpose_stays(
    platform: Platform, stores: dict[str, PostgresStore], config: Config
) -> None:
    tell(platform, "practice", "UPDATE learners SET settings = settings || '{\"notification_email\":"
         " \"other@example.com\"}' WHERE account_id = %s", int(WHO))  # fmt: skip
    rectify(stores, config, corrections(stores, {WHO: {"email": NEW}}))
    kept = ask(platform, "practice", "SELECT settings->>'notification_email' FROM learners"
               " WHERE account_id = %s", int(WHO))  # fmt: skip
    assert kept == [("other@example.com",)]


def test_whoever_subscribed_under_the_right_address_already_is_on_the_list_once(
    platform: Platform, stores: dict[str, PostgresStore], config: Config
) -> None:
    tell(platform, "accounts", "INSERT INTO newsletter_subscribers VALUES (%s, 'R', NULL, now(), now())", NEW)
    done = rectify(stores, config, corrections(stores, {WHO: {"email": NEW}}))["accounts"]
    assert done.refused == {}
    assert done.removed["newsletter_subscribers.email"] == 1
    listed = ask(
        platform, "accounts", "SELECT email FROM newsletter_subscribers WHERE email = ANY(%s)", [OLD, NEW]
    )
    assert listed == [(NEW,)]


def test_the_first_name_on_the_list_is_found_by_the_address_also_while_that_is_corrected(
    platform: Platform, stores: dict[str, PostgresStore], config: Config
) -> None:
    rectify(stores, config, corrections(stores, {WHO: {"email": NEW, "first_name": "Right"}}))
    listed = ask(platform, "accounts", "SELECT email, first_name FROM newsletter_subscribers"
                 " WHERE email = ANY(%s)", [OLD, NEW])  # fmt: skip
    assert listed == [(NEW, "Right")]


def hundred(platform: Platform) -> dict[str, dict[str, str]]:
    people = ask(
        platform, "accounts", "SELECT id FROM accounts WHERE status = 'active' ORDER BY id LIMIT 100"
    )
    return {
        str(who): {
            "email": f"corrected{who}@right.example",
            "full_name": f"Right Name {who}",
            "display_name": f"Right {who}",
            "locale": "pt-BR",
            "time_zone": "America/Lima",
        }
        for (who,) in people
    }


def test_a_hundred_people_cost_as_many_statements_as_one_and_one_conflict_is_theirs_alone(
    platform: Platform, stores: dict[str, PostgresStore], config: Config
) -> None:
    values = hundred(platform)
    first, *others = values
    with counted_statements() as for_one:
        rectify(stores, config, corrections(stores, {first: values[first]}))
    unlucky = others[41]
    values = {key: values[key] for key in others}
    values[unlucky]["email"] = MARKER.emails[0]  # somebody else's
    with counted_statements() as for_all:
        done = rectify(stores, config, corrections(stores, values))
    assert for_all[0] == for_one[0]
    assert done["accounts"].refused == {unlucky: {"email": "already_in_use"}}
    assert done["practice"].refused == {}
    assert done["accounts"].changed["accounts.email"] == 98
    assert done["accounts"].changed["accounts.full_name"] == 99, (
        "the other fields of the unlucky one are corrected"
    )
    assert unlucky not in {k for k, fields in done["accounts"].replaced.items() if "email" in fields}
    emails = dict(
        ask(platform, "accounts", "SELECT id::text, email FROM accounts WHERE id::text = ANY(%s)", others)
    )
    assert emails.pop(unlucky) not in (values[unlucky]["email"], None)
    assert emails == {key: values[key]["email"] for key in others if key != unlucky}
    settings = dict(ask(platform, "practice", "SELECT account_id::text, settings->>'notification_email'"
                        " FROM learners WHERE account_id::text = ANY(%s)", others))  # fmt: skip
    assert settings[unlucky] not in (values[unlucky]["email"], None), (
        "no copy got an address that was refused"
    )
    with counted_statements() as again:
        repeated = rectify(stores, config, corrections(stores, values))
    assert again[0] <= for_one[0]
    assert not any(repeated["accounts"].changed.values())
    assert repeated["accounts"].refused == {unlucky: {"email": "already_in_use"}}


def test_two_people_who_ask_for_one_address_get_it_once(
    platform: Platform, stores: dict[str, PostgresStore], config: Config
) -> None:
    one, two = list(hundred(platform))[:2]
    asked = corrections(stores, {one: {"email": NEW}, two: {"email": NEW}})
    done = rectify(stores, config, asked)["accounts"]
    assert done.refused == {two: {"email": "already_in_use"}}
    assert done.changed["accounts.email"] == 1


def test_nobody_elses_rows_are_touched(
    platform: Platform, stores: dict[str, PostgresStore], config: Config
) -> None:
    before = {name: everything(platform, name) for name in stores}
    values = {
        "email": NEW,
        "full_name": "Right Name",
        "display_name": "Right",
        "locale": "fr",
        "first_name": "R",
    }
    rectify(stores, config, corrections(stores, {WHO: values}))
    after = {name: everything(platform, name) for name in stores}
    marks = (*MARKER.needles, NEW, "Right")
    for name, tables in after.items():
        for table, rows in tables.items():
            gone = set(before[name][table]) - set(rows)
            come = set(rows) - set(before[name][table])
            assert all(any(m in r for m in marks) for r in gone | come), table
    for name in stores:
        assert before[name].keys() == after[name].keys(), "no work table is left"
        assert all(after[name][t] == before[name][t] for t in after[name] if t.startswith("privacy_work."))


def test_a_correction_under_a_legal_hold_is_made_and_reported(
    stores: dict[str, PostgresStore], config: Config
) -> None:
    from include.privacy.planning.models import Holds

    other = next(iter(stores["accounts"].existing_keys(["120"])))
    asked = corrections(stores, {WHO: {"full_name": "Right Name"}, other: {"full_name": "Other"}})
    done = rectify(stores, config, asked, Gate(Holds(subjects=frozenset({WHO}))))["accounts"]
    assert done.changed["accounts.full_name"] == 2
    assert done.held == {WHO}
    done = rectify(stores, config, corrections(stores, {other: {"full_name": "Again"}}),
                   Gate(Holds(collections=frozenset({"accounts.accounts"}))))["accounts"]  # fmt: skip
    assert done.held == {other}
