"""Nothing of two erased people is left, in any encoding, in anything that anybody could read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.sandbox.platform.people import MARKERS
from include.sandbox.verify import captured_at
from tests.runs import residue
from tests.runs.conftest import AIRFLOW_ENV, ARCHIVES, BACKUPS, CONTENT, COPY, Estate

pytestmark = pytest.mark.timeout(300)
NEEDLES = tuple(needle for marker in MARKERS for needle in marker.needles)
HOME = Path(AIRFLOW_ENV["AIRFLOW_HOME"])
PROMISED = timedelta(days=180)  # P4.3
OBJECTED = ("marketing.communications.email", "personalize.content")
CORRECTED = {"full_name": "Zephyrine Quackenbush", "display_name": "zephyrine-quackenbush"}


def _databases(estate: Estate) -> Iterator[residue.Haystack]:
    for store in ("accounts", "practice"):
        yield from residue.database(store, estate.platform.dsn(store))


def _ledger(estate: Estate) -> Iterator[residue.Haystack]:
    name = estate.ledger.engine.url.database
    assert name
    yield from residue.database("ledger", estate.world.dsn(name))


def _logs(estate: Estate) -> Iterator[residue.Haystack]:
    yield from residue.files(HOME / "logs", "airflow log")
    yield from residue.files(estate.world.folder / "logs", "server log")


def _backups(s3: Any, gcs: Any) -> dict[str, set[str]]:
    found = residue.search(residue.s3_objects(s3, BACKUPS), NEEDLES)
    return found | residue.search(residue.gcs_objects(gcs, COPY), NEEDLES)


@pytest.mark.whole_dag
def test_after_purge_and_erasure_nothing_is_left_but_archives_that_expire_in_time(
    estate: Estate, content: Callable[[int], int], s3_client: Any, gcs_client: Any
) -> None:
    _, asker = MARKERS
    assert all(content(marker.account_id) for marker in MARKERS), "both have made something"
    before = residue.search(_databases(estate), NEEDLES)
    assert set().union(*before.values()) == set(NEEDLES), "a needle that is nowhere proves nothing"
    asked = {
        "objection": estate.ask(asker.account_id, "objection", details={"purposes": list(OBJECTED)}),
        "rectification": estate.ask(asker.account_id, "rectification", details={"corrections": CORRECTED}),
        "access": estate.ask(asker.account_id, "access"),
        "portability": estate.ask(asker.account_id, "portability"),
        "erasure": estate.ask(asker.account_id),
    }
    external = asked["erasure"]

    assert estate.run("enforce_database_retention").state == "success"
    for right in asked:
        run = estate.fulfil(right)
        assert run.state == "success", (right, estate.states(run))
    assert estate.value("accounts", "SELECT count(*) FROM accounts WHERE id = %s", asker.account_id) == 0

    for where in (
        _databases(estate),
        _ledger(estate),
        residue.s3_objects(s3_client, CONTENT),
        residue.s3_objects(s3_client, ARCHIVES),
        residue.sqlite(HOME / "airflow.db"),
        _logs(estate),
    ):
        left = residue.search(where, (*NEEDLES, *CORRECTED.values()))
        # Invoices that Stripe had are kept for the tax office, with their recipient (Art. 17(3)(b) GDPR).
        left = {place: found for place, found in left.items() if f"{ARCHIVES} invoices/" not in place}
        assert not left, {place: len(needles) for place, needles in left.items()}
    for marker in MARKERS:
        assert estate.ledger.match_tombstones("email", marker.emails) == set(marker.emails)

    for each in asked.values():
        row = estate.ledger.find_request(each)
        assert row is not None and row.closed_at is not None
        assert (row.subject_key, row.details, row.agent) == (None, None, None), "the vault is gone"
    request = estate.ledger.find_request(external)
    assert request is not None
    assert request.residual_until is not None
    held = _backups(s3_client, gcs_client)
    assert held, "archives from before the erasure are searched inside, and they do hold both people"
    times = [when for place in held if (when := captured_at(place))]
    assert times
    assert all(when < estate.as_of for when in times), "no archive of later holds anybody"
    assert max(times) + PROMISED >= request.residual_until >= max(times), "what the person was told"


def test_a_trace_in_any_place_and_spelling_is_found(
    estate: Estate, s3_client: Any, bucket: Callable[..., str], gcs_bucket: Callable[..., Any], tmp_path: Path
) -> None:
    name = MARKERS[1].emails[0]
    for spelling in residue.spellings(name):
        (tmp_path / "task.log").write_bytes(b"noise " + spelling + b" noise")
        assert residue.search(residue.files(tmp_path, "log"), [name])
    (tmp_path / "task.log").unlink()
    assert not residue.search(residue.files(tmp_path, "log"), [name])

    ours = bucket()
    s3_client.put_object(Bucket=ours, Key="a", Body=f"was {name}".encode())
    s3_client.put_object(Bucket=ours, Key="a", Body=b"is nobody")
    assert residue.search(residue.s3_objects(s3_client, ours), [name]), "a noncurrent version"
    copy = gcs_bucket()
    copy.blob("b").upload_from_string(f"was {name}")
    copy.blob("b").delete()
    assert residue.search(residue.gcs_objects(copy.client, copy.name), [name]), "a noncurrent generation"

    estate.ledger.append_evidence("test", {"account": "none", "word": MARKERS[1].texts[0]})
    assert residue.search(_ledger(estate), MARKERS[1].texts)
    assert not residue.search([("number", b"1910000027 9100000270")], [str(MARKERS[1].account_id)])
