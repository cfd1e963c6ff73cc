"""config/clouds.yaml and config/recipients.yaml: what is wrong is told with its line and what to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.privacy.policy.loading import ROOT, ConfigError, load_config
from include.privacy.policy.policy import SnapshotAgeRule
from include.privacy.policy.promises import UPPER_LIMITS
from tests.policy import configs

SNAPSHOTS = {
    "store": "shots", "kind": "rds", "connection": "c", "sources": {"db-1": "people"},
}  # fmt: skip
RULE = {
    "id": "shots", "kind": "snapshot_age", "promise": "P4.3", "store": "shots", "target_days": 170,
    "limit_days": 180, "guard": {"max_share": 0.5, "max_count": 10},
}  # fmt: skip
LOGS = {"name": "logs", "kind": "cloudwatch", "connection": "c", "max_days": 90}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """``written(clouds, recipients=None, rule=RULE)``: a sound configuration with these files beside it."""

    def write(
        clouds: dict[str, Any], recipients: dict[str, Any] | None = None, rule: dict[str, Any] | None = RULE
    ) -> Path:
        folder = configs.write(tmp_path)
        (folder / "clouds.yaml").write_text(yaml.safe_dump(clouds))
        if recipients is not None:
            (folder / "recipients.yaml").write_text(yaml.safe_dump(recipients))
        if rule is not None:
            policy = yaml.safe_load((folder / "policy.yaml").read_text())
            policy["rules"].append(rule)
            entry = policy["promises"]["P4.3"]
            entry["enforced_by"] = ["archives", rule["id"]]
            (folder / "policy.yaml").write_text(yaml.safe_dump(policy))
        return folder

    return write


def problems(folder: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        load_config(folder)
    return "\n".join(str(p) for p in refused.value.problems)


def test_snapshots_with_their_rule_hold_together_and_change_the_digest(written: Callable[..., Path]) -> None:
    folder = written({"snapshots": [SNAPSHOTS], "logs": [LOGS]})
    config = load_config(folder)
    assert config.clouds["shots"].sources == {"db-1": "people"}
    (folder / "clouds.yaml").write_text(yaml.safe_dump({"snapshots": [SNAPSHOTS]}))
    assert load_config(folder).digest != config.digest


def test_without_the_files_there_are_no_snapshots_and_no_recipients(tmp_path: Path) -> None:
    config = load_config(configs.write(tmp_path))
    assert config.clouds.names() == ()
    assert config.recipients.postgres == {}
    with pytest.raises(KeyError, match=r"config/clouds\.yaml"):
        config.clouds["shots"]


@pytest.mark.parametrize(
    ("clouds", "rule", "expected"),
    [
        ({"snapshots": [SNAPSHOTS]}, None, "0 rules expire these snapshots"),
        ({}, RULE, "config/clouds.yaml has no snapshots of that name"),
        ({"snapshots": [SNAPSHOTS | {"store": "people"}]}, None, "is the name of another store"),
        ({"snapshots": [SNAPSHOTS | {"sources": {"db-1": "archive"}}]}, RULE, "is no database of"),
        ({"snapshots": [SNAPSHOTS | {"sources": {}}]}, RULE, "sources"),
        ({"snapshots": [SNAPSHOTS | {"kind": "azure"}]}, RULE, "is not one of the allowed values"),
        ({"snapshots": [SNAPSHOTS]}, RULE | {"limit_days": 181}, "P4.3 promises 180 days at most"),
        ({"snapshots": [SNAPSHOTS]}, RULE | {"target_days": 180}, "target_days must be below limit_days"),
        ({"logs": [LOGS, LOGS]}, None, "is written twice"),
        ({"logs": [LOGS | {"max_days": 0}]}, None, "max_days"),
        ({"logs": [LOGS | {"exempt": {"a": "why"}}]}, None, "exempt"),
    ],
)  # fmt: skip
def test_what_does_not_hold_together_is_told(
    written: Callable[..., Path], clouds: dict[str, Any], rule: dict[str, Any] | None, expected: str
) -> None:
    assert expected in problems(written(clouds, rule=rule))


@pytest.mark.parametrize(
    ("recipients", "expected"),
    [
        ({"postgres": {}}, "database people has no list"),
        ({"postgres": {"people": {}, "peple": {}}}, "write people"),
        ({"postgres": {"people": {"roles": ["a"], "privileged": ["b"]}}}, "but not among the roles"),
        ({"aws": {"accounts": ["12"]}, "postgres": {"people": {}}}, "aws.accounts"),
        ({"azure": {}, "postgres": {"people": {}}}, "is not a known field"),
    ],
)  # fmt: skip
def test_a_list_of_recipients_that_cannot_be_meant_is_refused(
    written: Callable[..., Path], recipients: dict[str, Any], expected: str
) -> None:
    assert expected in problems(written({}, recipients, rule=None))


def test_the_shipped_files_name_every_database_and_keep_the_promise() -> None:
    config = load_config(ROOT / "config")
    rules = {r.store: r for r in config.policy.rules if isinstance(r, SnapshotAgeRule)}
    assert set(rules) == set(config.clouds.names())
    assert all(r.limit_days <= UPPER_LIMITS["P4.3"] for r in rules.values())
    assert {"accounts", "practice", "ledger"} <= set(config.recipients.postgres)
    assert "@" not in (ROOT / "config" / "recipients.yaml").read_text()
