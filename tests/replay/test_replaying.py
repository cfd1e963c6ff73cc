"""What a replay leaves alone, what stops it, and what it survives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.replay.conftest import STORES, Rig, T, close, digests

pytestmark = pytest.mark.timeout(180)
PRESENT = "SELECT count(*) FROM accounts WHERE id::text = ANY(%s)"
ATTEMPTS = "SELECT count(*) FROM attempts WHERE learner_id::text = ANY(%s)"
Databases = Callable[[str, str | None], str]


@contextmanager
def backed_up(rig: Rig, databases: Databases, *stores: str) -> Iterator[None]:
    """What happens inside is lost: the stores are afterwards as they were before, and closed."""
    copies = {store: databases("platform", rig.databases[store]) for store in stores}
    yield
    for store, copy in copies.items():
        rig.put(store, copy)
    close(rig, *stores)


def test_a_hold_keeps_a_person_and_the_jobs_are_kept_from_them(rig: Rig, databases: Databases) -> None:
    people = rig.people(10, 5)
    with backed_up(rig, databases, *STORES):
        rig.erase(people)
    hold = rig.ledger.place_hold("case 7", "a claim", "counsel", "subject", people[0])
    run = rig.replay()
    assert run.state == "success", rig.states(run)
    report = rig.report()
    # Somebody who shares a row with the held person is kept back too.
    assert report["held"] == rig.value("accounts", PRESENT, people) in (1, 2)
    assert report["left"] == 0 and rig.value("accounts", PRESENT, people[:1]) == 1
    for store in STORES:
        found = rig.rows(
            store, "SELECT purpose, reason FROM privacy_restrictions WHERE account_id::text = %s", people[0]
        )
        assert ("*", "restriction") in found
    # Released: the person is found once more as soon as the stores are closed and replayed again.
    rig.ledger.release_hold(hold, "counsel")
    close(rig, *STORES)
    assert rig.replay().state == "success"
    assert rig.value("accounts", PRESENT, people) == 0


def test_rows_that_know_an_address_only_are_found_unless_somebody_has_it_again(
    rig: Rig, databases: Databases
) -> None:
    gone, again, inviter, reborn = rig.people(20, 4)
    address = {
        key: rig.value("accounts", "SELECT email FROM accounts WHERE id::text = %s", key)
        for key in (gone, again)
    }
    invite = "INSERT INTO invitations (inviter_id, invitee_email, sent_at) VALUES (%s, %s, now())"
    with backed_up(rig, databases, "practice"):
        rig.erase([gone, again, reborn])
    for key in (gone, again):
        rig.rows("practice", invite, int(inviter), address[key])
    # One address has been taken by a new account; one key was given out twice after an earlier restore.
    rig.rows("accounts", "UPDATE accounts SET email = %s WHERE id::text = %s", address[again], inviter)
    rig.rows(
        "accounts",
        "INSERT INTO accounts (id, public_id, email, full_name) OVERRIDING SYSTEM VALUE "
        "VALUES (%s, gen_random_uuid(), %s, 'New')",
        int(reborn),
        "reborn@example.net",
    )
    before = rig.value("practice", ATTEMPTS, [reborn])
    assert before
    run = rig.replay(["practice"])
    assert run.state == "success", rig.states(run)
    came = rig.report()["came_back"]
    assert (came["people"], came["orphans"], came["in_use"], came["alive"]) == (2, 1, 1, 1)
    left = rig.rows("practice", "SELECT invitee_email FROM invitations WHERE inviter_id = %s", int(inviter))
    assert (address[again],) in left
    assert (address[gone],) not in left
    assert rig.value("practice", ATTEMPTS, [gone, again]) == 0
    assert rig.value("practice", ATTEMPTS, [reborn]) == before


def test_a_crash_after_any_chunk_loses_nothing_and_repeats_nothing(
    rig: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.stores.postgres import executor

    class Slow(executor.Pace):  # type: ignore[name-defined, misc] # a chunk takes a few people
        def __init__(self, **_: Any) -> None:
            super().__init__(rows=100, least_rows=100, most_rows=100)

    people = rig.people(30, 8)
    with backed_up(rig, databases, *STORES):
        rig.erase(people)
        truth = {store: digests(rig, store) for store in STORES}
    monkeypatch.setattr(executor, "Pace", Slow)
    real, committed, crashes = executor.Execution._transaction, 0, 0

    def transaction(self: Any, *arguments: Any, **more: Any) -> Any:
        """Ends the task after each second chunk, when that is committed."""
        nonlocal committed
        done = real(self, *arguments, **more)
        committed += not self.dry_run
        if committed % 2 == 0:
            raise ConnectionResetError("the worker is gone")
        return done

    monkeypatch.setattr(executor.Execution, "_transaction", transaction)
    while rig.replay().state != "success":
        crashes += 1
        assert crashes < 30
    assert crashes >= 2
    for store in STORES:
        now = digests(rig, store)
        assert {t for t in now if now[t] != truth[store][t]} == set(), store
    assert rig.value("accounts", PRESENT, people) == 0


def test_a_person_erased_while_the_replay_runs_keeps_the_database_closed(
    rig: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.replay import applying
    from include.privacy.runtime import runtime
    from include.privacy.steps.freezing import members
    from include.privacy.steps.residue import residual_until, write_tombstones

    first, late = rig.people(60, 2)
    with backed_up(rig, databases, *STORES):
        rig.erase([first])
    real = applying.apply

    def erased_meanwhile(*arguments: Any, **more: Any) -> Any:
        """An erasure that had done its work in the lost database puts it on record only now."""
        cohort = rig.ledger.freeze_cohort(members([late]), "late", rig.ledger.latest_run("replay").id)
        write_tombstones(cohort, rig.as_of, residual_until(rig.as_of))
        return real(*arguments, **more)

    from tests.replay.conftest import dag_of_replay

    task = dag_of_replay().get_task("apply")
    monkeypatch.setattr(task, "python_callable", erased_meanwhile, raising=False)
    run = rig.replay()
    assert run.state == "failed" and rig.report()["left"] == 1 and rig.report()["opened"] == []
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(rig.dsn("accounts", "platform")).close()

    def opened_meanwhile(*arguments: Any, **more: Any) -> Any:
        rig.rows("accounts", f"GRANT CONNECT ON DATABASE {rig.databases['accounts']} TO platform")
        return real(*arguments, **more)

    monkeypatch.setattr(task, "python_callable", opened_meanwhile, raising=False)
    assert rig.replay().state == "failed", "somebody let the platform in while it ran"
    assert rig.report()["left"] == 0 and rig.report()["opened"] == []
    close(rig, *STORES)
    monkeypatch.setattr(task, "python_callable", real, raising=False)
    assert rig.replay().state == "success"
    assert rig.value("accounts", PRESENT, [first, late]) == 0
    assert runtime().ledger().open_breaches() == []


def test_a_database_restored_beside_the_store_is_reached_by_its_own_connection(
    rig: Rig, databases: Databases
) -> None:
    people = rig.people(70, 3)
    copy = databases("platform", rig.databases["accounts"])
    rig.erase(people)
    live = digests(rig, "accounts")
    rig.connections["restored_accounts_db"] = copy
    original = rig.databases["accounts"]
    rig.databases["accounts"] = copy
    close(rig, "accounts")
    rig.databases["accounts"] = original
    run = rig.replay(["accounts"], connection="restored_accounts_db")
    assert run.state == "success", rig.states(run)
    assert digests(rig, "accounts") == live, "the live database was not touched"
    rig.databases["accounts"] = copy
    assert rig.value("accounts", PRESENT, people) == 0


def test_a_newly_connected_store_loses_everybody_who_was_erased_ever(rig: Rig, databases: Databases) -> None:
    people, living = rig.people(80, 3), rig.people(90, 1)
    copy = databases("platform", rig.databases["practice"])
    rig.erase(people)
    rig.put("practice", copy)
    rig.as_of += timedelta(days=2)
    attempts, before = rig.value("practice", ATTEMPTS, living), digests(rig, "practice")
    assert rig.replay(["practice"], None, dry_run=True).state == "success"
    assert rig.report()["left"] == 3 and digests(rig, "practice") == before, "a dry run changes nothing"
    run = rig.replay(["practice"], None)
    assert run.state == "success", rig.states(run)
    assert rig.report()["came_back"]["people"] == 3
    assert rig.value("practice", ATTEMPTS, people) == 0
    assert rig.value("practice", ATTEMPTS, living) == attempts
    assert rig.report()["opened"] == []
    assert rig.replay(["practice"], None).state == "success"
    assert rig.report()["came_back"]["people"] == 0


def test_a_value_that_the_person_changed_since_is_left_and_a_lifted_restriction_is_lifted(
    rig: Rig, databases: Databases
) -> None:
    from include.privacy.requests import restricting

    moved, plain = rig.people(100, 2)
    restricting.restrict([plain], rig.as_of)
    with backed_up(rig, databases, *STORES):
        rig.correct({k: {"full_name": f"Corrected {k}"} for k in (moved, plain)})
    rig.rows("accounts", "UPDATE accounts SET full_name = 'My Own Choice' WHERE id::text = %s", moved)
    run = rig.replay()
    assert run.state == "success", rig.states(run)
    names = dict(
        rig.rows(
            "accounts", "SELECT id::text, full_name FROM accounts WHERE id::text = ANY(%s)", [moved, plain]
        )
    )
    assert names == {moved: "My Own Choice", plain: f"Corrected {plain}"}
    assert rig.report()["applied"]["left"] == 1
    restricted = "SELECT count(*) FROM privacy_restrictions WHERE account_id::text = %s AND purpose = '*'"
    assert rig.value("accounts", restricted, plain) == 0


def test_a_form_that_cannot_be_meant_is_refused(rig: Rig) -> None:
    from include.privacy.replay.targets import read_form
    from include.privacy.steps.runs import ParameterError

    now, then = rig.as_of, T.isoformat()
    for form, field in (
        ({}, "stores"),
        ({"stores": ["accounts", "nonsense"], "captured_at": then}, "stores"),
        ({"stores": ["backups_s3"], "captured_at": then}, "stores"),
        ({"stores": ["accounts"]}, "captured_at"),
        ({"stores": ["accounts"], "captured_at": "yesterday"}, "captured_at"),
        ({"stores": ["accounts"], "captured_at": (now + timedelta(days=1)).isoformat()}, "captured_at"),
        ({"stores": list(STORES), "captured_at": then, "connection": "x"}, "connection"),
        ({"stores": ["user_content"], "captured_at": then, "connection": "x"}, "connection"),
    ):
        with pytest.raises(ParameterError, match=field):
            read_form(form, now)
