"""config/controls.yaml: what is wrong is told with its line and what to write; what the looks may read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.privacy.policy.control_validation import columns_read, credential_columns
from include.privacy.policy.controls import CONTROLS, Controls
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.grant_documents import documents
from include.privacy.policy.grants import database_grants
from include.privacy.policy.loading import ROOT, ConfigError, load_config
from include.privacy.policy.promises import PROMISES
from tests.policy import configs


def problems(tmp_path: Path, controls: dict[str, Any]) -> str:
    folder = configs.write(tmp_path)
    (folder / "controls.yaml").write_text(yaml.safe_dump(controls))
    with pytest.raises(ConfigError) as refused:
        load_config(folder)
    return "\n".join(str(p) for p in refused.value.problems)


def test_the_shipped_file_covers_every_mapped_credential_and_every_control_has_its_promise() -> None:
    config = load_config(ROOT / "config")
    assert {control.promise for control in CONTROLS.values()} <= set(PROMISES)
    accounts = config.data_map["accounts"]
    assert isinstance(accounts, DatabaseMap)
    assert ("admin_users", "password_hash", "user.authorization.password") in set(
        credential_columns(accounts)
    )
    assert columns_read(config.controls, accounts)["admin_users"] == {"mfa_method", "password_hash"}


def test_the_file_need_not_exist_and_changes_the_digest(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    before = load_config(folder)
    assert before.controls == Controls()
    (folder / "controls.yaml").write_text("copies: {max_age_days: 5}\n")
    assert load_config(folder).digest != before.digest


def test_names_that_nothing_has_are_told_with_line_and_fix(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        {
            "optional": {"gardduty": "it is not there"},
            "at_rest": {"customer_keys": ["archives"]},
            "administrators": {
                "tables": [
                    {"store": "peeple", "table": "staff", "factor": "mfa"},
                    {"store": "people", "table": "staff", "factor": "mfa"},
                    {"store": "people", "table": "tokens", "factor": "mfa"},
                ]
            },
            "credentials": {"holds": {"people.tokens.secret": "digest"}},
        },
    )
    for expected in (
        "optional.gardduty: is no control; write guardduty",
        "at_rest.customer_keys[0]: is no bucket of the data map; write archive",
        "administrators.tables[0].store: is no database; write people",
        "administrators.tables[1].table: is not mapped",
        "administrators.tables[2].factor: is no column of that table",
        "is not mapped as a credential",
    ):
        assert expected in told


@pytest.mark.parametrize(
    ("controls", "expected"),
    [
        ({"credentials": {"bcrypt_cost": 4}}, "bcrypt_cost"),
        ({"credentials": {"argon2id": []}}, "argon2id"),
        ({"tls": {"older_taken": [{"host": "x.example", "why": "no"}]}}, "why"),
        ({"intrusion": {"max_silence_hours": 0}}, "max_silence_hours"),
        ({"guard_duty": []}, "guard_duty"),
        (
            {
                "third_party_audits": {
                    "audits": [
                        {
                            "what": "penetration test",
                            "by": "us",
                            "day": "2026-01-01",
                            "report_sha256": "a" * 64,
                        },
                        {
                            "what": "penetration test",
                            "by": "us",
                            "day": "2026-02-01",
                            "report_sha256": "a" * 64,
                        },
                    ]
                }
            },
            "same report",
        ),
    ],
)
def test_values_that_would_make_a_control_worthless_are_refused(
    tmp_path: Path, controls: dict[str, Any], expected: str
) -> None:
    assert expected in problems(tmp_path, controls)


def test_the_looks_are_granted_the_columns_they_count_and_nothing_more() -> None:
    config = load_config(ROOT / "config")
    accounts = config.data_map["accounts"]
    assert isinstance(accounts, DatabaseMap)
    reads = columns_read(config.controls, accounts)
    sql = database_grants(accounts, config.policy.rules, "dags", reads=reads)
    assert 'GRANT SELECT ("mfa_method", "password_hash") ON "public"."admin_users" TO "dags";' in sql
    reading = [line for line in sql.splitlines() if "password_hash" in line and "GRANT SELECT (" in line]
    assert len(reading) == 1, "whoever may read the table needs no columns"
    granted = json.loads(documents(config, "dags")["controls"][1])
    assert granted["aws_iam"] == ["iam:GenerateCredentialReport", "iam:GetCredentialReport"]
    assert granted["privacy_archives"] == ["kms:DescribeKey", "kms:GetKeyRotationStatus"]
