"""What identified a person before a correction: sealed, found by its person only, destroyed with them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from include.privacy.ledger import Ledger, SealBroken

from .conftest import AS_OF, LedgerDatabase

PERIODS = {"records_days": 1096, "quarantine_days": 90, "token_days": 30}
OLD, OLDER = "wrong@example.org", "wronger@example.org"


def count(database: LedgerDatabase, table: str) -> int:
    return int(str(database.rows(f"SELECT count(*) FROM ledger.{table}")[0][0]))


def test_it_is_found_by_its_person_only_and_kept_once(
    ledger: Ledger, database: LedgerDatabase, run_id: UUID
) -> None:
    def note(_: int) -> int:
        return ledger.note_former_identifiers("17", {"email": [OLDER, OLD, OLD]}, AS_OF, run_id)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(note, range(2))) == [0, 2], "two copies at once"
    found = ledger.former_identifiers(str(n) for n in range(3_000))
    assert set(found) == {"17"} and set(found["17"]["email"]) == {OLD, OLDER}
    assert ledger.former_identifiers(["1", "7", "18"]) == {}
    assert database.evidence("former_identifiers_noted") == [{"values": 2}]
    assert count(database, "sealing_key") == 2, "a key for each"
    with Ledger(database.dag_dsn, bytes(32)) as stranger:
        assert stranger.former_identifiers(["17"]) == {}, "not even found without the master key"


def test_a_value_that_is_moved_to_somebody_else_does_not_open(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    ledger.note_former_identifiers("17", {"email": [OLD]}, AS_OF)
    ledger.note_former_identifiers("18", {"email": [OLDER]}, AS_OF)
    with database.as_owner() as owner:
        owner.execute(
            "UPDATE ledger.former_identifier SET sealed = "
            "(SELECT sealed FROM ledger.former_identifier WHERE mark <> "
            "(SELECT min(mark) FROM ledger.former_identifier)) "
            "WHERE mark = (SELECT min(mark) FROM ledger.former_identifier)"
        )
    with pytest.raises(SealBroken):
        ledger.former_identifiers(["17", "18"])


def test_it_goes_with_its_key_when_the_person_is_erased_and_twice_is_harmless(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    for key in ("17", "18"):
        ledger.note_former_identifiers(key, {"email": [OLD, OLDER]}, AS_OF)
    assert ledger.forget_former_identifiers(str(n) for n in range(18)) == 2
    assert ledger.forget_former_identifiers(["17"]) == 0
    assert set(ledger.former_identifiers(["17", "18"])) == {"18"}
    assert (count(database, "former_identifier"), count(database, "sealing_key")) == (2, 2)
    assert database.evidence("former_identifiers_forgotten") == [{"values": 2, "because": "erasure"}]


def test_its_time_begins_anew_when_it_is_corrected_again_and_ends(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    later = AS_OF + timedelta(days=100)
    ledger.note_former_identifiers("17", {"email": [OLD, OLDER]}, AS_OF)
    ledger.note_former_identifiers("17", {"email": [OLD]}, later)
    due = AS_OF + timedelta(days=1096)
    assert ledger.expire_own_records(due - timedelta(seconds=1), **PERIODS)["former_identifiers"] == 0
    assert ledger.expire_own_records(due, **PERIODS, dry_run=True)["former_identifiers"] == 1
    assert ledger.expire_own_records(due, **PERIODS)["former_identifiers"] == 1
    assert ledger.former_identifiers(["17"]) == {"17": {"email": (OLD,)}}
    assert ledger.expire_own_records(later + timedelta(days=1096), **PERIODS)["former_identifiers"] == 1
    assert (count(database, "former_identifier"), count(database, "sealing_key")) == (0, 0)
