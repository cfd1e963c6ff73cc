"""The table of promises, and the DAGs that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.privacy.policy.coverage import BEGIN, END, dag_problems, promise_table, rendered
from include.privacy.policy.loading import ROOT, load_config, load_policy
from tests.policy import configs


def test_every_promise_has_a_row_and_a_status(tmp_path: Path) -> None:
    value = configs.policy()
    value["promises"]["P7.4"]["enforced_by"] = {"outside": "the auditors"}
    value["promises"]["P4.2"]["enforced_by"] = ["purge", {"planned": "audit_controls"}]
    table = promise_table(load_config(configs.write(tmp_path, policy_value=value)).policy)
    assert "| P4.1 | P4.1 | kept | rule `ended` in `enforce_database_retention` |" in table
    assert (
        "| P4.2 | P4.2 | in part | rule `purge` in `enforce_database_retention`; planned: `audit_controls` |"
        in table
    )
    assert "| P4.3 | P4.3 | kept | rule `archives` in `enforce_backup_retention` |" in table
    assert "| P7.4 | P7.4 | outside | outside: the auditors |" in table
    assert "| P8.2 | P8.2 | planned | planned: `audit_controls` |" in table
    assert "the deletion of their account | 30 d | 90 d | 10% or 100 |" in table
    assert sum(line.startswith("| P") for line in table.splitlines()) == 33


def test_a_new_page_is_complete_and_a_second_writing_changes_nothing(tmp_path: Path) -> None:
    policy = load_config(configs.write(tmp_path)).policy
    page = rendered(policy, None)
    assert page.startswith("# The promises")
    assert rendered(policy, page) == page


def test_what_people_wrote_around_the_table_stays(tmp_path: Path) -> None:
    policy = load_config(configs.write(tmp_path)).policy
    page = rendered(policy, f"mine\n{BEGIN}\nold\n{END}\nalso mine\n")
    assert page.startswith("mine\n")
    assert page.endswith(f"{END}\nalso mine\n")
    assert "old" not in page


def test_a_page_without_markers_is_not_overwritten(tmp_path: Path) -> None:
    policy = load_config(configs.write(tmp_path)).policy
    with pytest.raises(ValueError, match="lost its markers"):
        rendered(policy, "my own page")


def test_a_dag_that_does_not_exist_is_a_problem_and_so_is_one_called_planned_that_does(
    tmp_path: Path,
) -> None:
    value = configs.policy()
    value["promises"]["P4.4"]["enforced_by"] = "place_leagl_hold"
    policy = load_config(configs.write(tmp_path, policy_value=value)).policy
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "place_legal_hold.py").touch()
    (found,) = dag_problems(policy, dags)
    assert found.fix == "write place_legal_hold, or {planned: place_leagl_hold}"
    (dags / "place_leagl_hold.py").touch()
    (dags / "audit_controls.py").touch()
    assert {p.fix for p in dag_problems(policy, dags)} == {"write audit_controls without planned"}


def test_the_page_in_the_repository_is_current() -> None:
    page = (ROOT / "docs" / "PROMISES.md").read_text(encoding="utf-8")
    assert rendered(load_policy(ROOT / "config" / "policy.yaml"), page) == page, "run `make docs`"


def test_every_dag_that_a_shipped_promise_names_exists() -> None:
    assert dag_problems(load_policy(ROOT / "config" / "policy.yaml"), ROOT / "dags") == []
