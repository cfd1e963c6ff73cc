"""The audit of the data map: what the map does not know is an alarm, until it is mapped or gone."""

from __future__ import annotations

import pytest

from tests.runs.conftest import Estate

pytestmark = pytest.mark.timeout(150)
DAG = "audit_data_map"


def test_the_shipped_map_fits_the_platform_as_it_is(estate: Estate) -> None:
    run = estate.run(DAG)
    summary = estate.ledger.latest_run("data_map_audit").summary
    assert run.state == "success", summary
