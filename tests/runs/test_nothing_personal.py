"""After all the runs of this folder: nothing of anybody in what Airflow has stored or logged."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.sandbox.platform.people import MARKERS
from tests.runs.conftest import AIRFLOW_ENV, RUNS, Estate


@pytest.mark.whole_dag
@pytest.mark.timeout(150)
def test_nothing_personal_is_in_airflows_metadata_or_logs(estate: Estate) -> None:
    wanted = {"enforce_database_retention", "fulfil_erasure_requests"}
    for dag_id in sorted(wanted - RUNS):  # when this test runs alone
        estate.ask(MARKERS[1].account_id)
        assert estate.run("intake_subject_requests").state == "success"
        assert estate.run(dag_id).state == "success"
    home = Path(AIRFLOW_ENV["AIRFLOW_HOME"])
    searched = [path for path in home.rglob("*") if path.is_file()]
    assert home / "airflow.db" in searched
    for path in searched:
        data = path.read_bytes()
        found = [n for marker in MARKERS for n in marker.needles if n.encode() in data]
        assert not found, f"{path.relative_to(home)} holds {len(found)} traces of an erased person"
