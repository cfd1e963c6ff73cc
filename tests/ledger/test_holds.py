from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from uuid import UUID, uuid4

import psycopg
import pytest

from include.privacy.ledger import Ledger, LedgerError, NotInLedger
from include.privacy.planning.models import Holds

from .conftest import LedgerDatabase


def place(ledger: Ledger, scope: str = "subject", target: str = "42", matter: str = "Case 7") -> UUID:
    return ledger.place_hold(matter, "preservation order", "grace", scope, target)  # type: ignore[arg-type]


def test_holds_of_every_scope_are_in_force_until_they_are_released(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    place(ledger)
    place(ledger, "collection", "practice.attempts")
    store = place(ledger, "store", "backups_s3")
    expected = Holds(frozenset({"42"}), frozenset({"practice.attempts"}), frozenset({"backups_s3"}))
    assert ledger.holds() == expected
    for _ in range(2):
        ledger.release_hold(store, "grace")
    assert ledger.holds().stores == frozenset()
    assert len(database.evidence("hold_released")) == 1
    assert [h.released_at is None for h in ledger.hold_rows(released=True)] == [True, True, False]
    with pytest.raises(NotInLedger):
        ledger.release_hold(uuid4(), "grace")


def test_a_hold_placed_by_a_retry_is_the_same_hold(ledger: Ledger) -> None:
    first = place(ledger)
    assert place(ledger) == first
    other_case = place(ledger, matter="Case 8")
    ledger.release_hold(first, "grace")
    assert ledger.holds().subjects == {"42"}
    ledger.release_hold(other_case, "grace")
    assert ledger.holds().subjects == frozenset()
    assert place(ledger) != first


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("", "r", "g", "store", "practice"), "matter"),
        (("m", " ", "g", "store", "practice"), "reason"),
        (("m", "r", "", "store", "practice"), "placed_by"),
        (("m", "r", "g", "store", ""), "target"),
        (("m", "r", "g", "bucket", "practice"), "scope"),
        (("m", "r", "g", "collection", "attempts"), "store.collection"),
    ],
)
def test_a_hold_with_a_bad_field_is_refused_by_its_name(
    ledger: Ledger, arguments: tuple[str, str, str, str, str], field: str
) -> None:
    with pytest.raises(ValueError, match=field):
        ledger.place_hold(*arguments)  # type: ignore[arg-type]


def test_a_hold_placed_during_a_chunk_waits_and_binds_the_next_one(ledger: Ledger) -> None:
    gate, placed = ledger.hold_gate(), Event()

    def place_and_tell() -> None:
        place(ledger)
        placed.set()

    with ThreadPoolExecutor(1) as pool:
        with gate() as holds:
            waiting = pool.submit(place_and_tell)
            assert not placed.wait(0.5)
            assert holds.subjects == frozenset()
        waiting.result(10)
    with gate() as holds:
        assert holds.subjects == {"42"}


def test_chunks_run_side_by_side_and_see_releases(ledger: Ledger) -> None:
    hold, first, second = place(ledger), ledger.hold_gate(), ledger.hold_gate()
    with first() as one, second() as two:
        assert one.subjects == two.subjects == {"42"}
    ledger.release_hold(hold, "grace")
    with first() as holds:
        assert holds.subjects == frozenset()


def test_a_chunk_that_fails_opens_the_gate_again(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError, match="chunk"), ledger.hold_gate()():
        raise RuntimeError("chunk failed")
    place(ledger)


def test_holds_that_cannot_be_read_keep_the_gate_shut(ledger: Ledger, database: LedgerDatabase) -> None:
    place(ledger)
    with database.as_owner() as connection:
        connection.execute("UPDATE ledger.hold SET key_id = NULL")
        with pytest.raises(LedgerError, match="its key is gone"), ledger.hold_gate()():
            pytest.fail("the gate must not open")
        connection.execute("DELETE FROM ledger.hold_version")
        with pytest.raises(LedgerError, match="hold_version"), ledger.hold_gate()():
            pytest.fail("the gate must not open")


def test_holds_are_decrypted_only_when_they_have_changed(ledger: Ledger, database: LedgerDatabase) -> None:
    place(ledger)
    gate = ledger.hold_gate()
    with gate() as before:
        pass
    with psycopg.connect(database.owner_dsn, autocommit=True) as connection:
        connection.execute("UPDATE ledger.hold SET sealed = 'x'")
    with gate() as after:
        assert after is before
