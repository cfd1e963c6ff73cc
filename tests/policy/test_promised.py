"""What a promise says is collected, what the map may excuse, and how much is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.privacy.policy.loading import ROOT, ConfigError, load_config, load_policy
from include.privacy.policy.promised import breakable, promise_of, promised, unpromised
from tests.policy import configs

SHIPPED = load_policy(ROOT / "config" / "policy.yaml")


def problems(tmp_path: Path, **given: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_config(configs.write(tmp_path, **given))
    return [str(p) for p in error.value.problems]


@pytest.mark.parametrize(
    ("category", "promise"),
    [
        ("user.name.first", "P2.1"),
        ("user.contact.email", "P2.1"),
        ("user.behavior.purchase_history", "P2.2"),
        ("user.device.ip_address", "P2.3"),
        ("user.contact.phone_number", None),
        ("user.health_and_medical", None),
        ("user.nameless", None),
        ("user", "P2.1"),
        ("user.contact", "P2.1"),
    ],
)
def test_a_promise_speaks_of_a_category_and_all_below_it(category: str, promise: str | None) -> None:
    assert promise_of(SHIPPED, category) == promise


def test_what_no_promise_names_is_told_and_without_categories_nothing_is() -> None:
    categories = ["user.name", "user.biometric", "system.operations", "user"]
    assert unpromised(SHIPPED, categories) == ["user.biometric"]
    silent = SHIPPED.model_copy(
        update={"promises": {n: p.model_copy(update={"categories": ()}) for n, p in SHIPPED.promises.items()}}
    )
    assert promised(SHIPPED) and not promised(silent)
    assert unpromised(silent, categories) == []
    assert breakable(SHIPPED) == {"P2.1", "P2.2", "P2.3", "P2.4"}
    assert breakable(silent) == {"P2.4"}


def test_everything_in_the_shipped_configuration_is_promised() -> None:
    config = load_config(ROOT / "config")
    categories = {
        c.category
        for store in config.data_map.stores
        for table in getattr(store, "tables", {}).values()
        for c in table.columns.values()
    }
    assert unpromised(config.policy, categories) == []


def test_an_excuse_needs_a_known_kind_a_reason_and_a_column_that_is_not_personal(tmp_path: Path) -> None:
    people = configs.people()
    code = people["tables"]["plans"]["columns"]
    code["code"] = {"category": "system.operations", "looks_like": {"ip": "version numbers"}}
    column = load_config(configs.write(tmp_path, people_value=people)).data_map.root.tables["plans"].columns
    assert column["code"].looks_like == {"ip": "version numbers"}

    code["code"] = {"category": "system.operations", "looks_like": {"ip": "no"}}
    assert any("looks_like" in p for p in problems(tmp_path, people_value=people))
    code["code"] = {"category": "system.operations", "looks_like": {"address": "version numbers"}}
    assert any("looks_like" in p for p in problems(tmp_path, people_value=people))
    code["code"] = configs.SYSTEM
    people["tables"]["accounts"]["columns"]["email"]["looks_like"] = {"email": "they are addresses"}
    found = problems(tmp_path, people_value=people)
    assert any("excuses a column that is personal anyway" in p for p in found), found


def test_other_schemas_need_a_reason(tmp_path: Path) -> None:
    people = configs.people() | {"other_schemas": {"cron": "jobs of the database"}}
    root = load_config(configs.write(tmp_path, people_value=people)).data_map.root
    assert root.other_schemas == {"cron": "jobs of the database"}
    people["other_schemas"] = {"cron": ""}
    assert any("other_schemas" in p for p in problems(tmp_path, people_value=people))


@pytest.mark.parametrize(
    "wrong",
    [{"rows": 0}, {"share": 2}, {"at_least": 0}, {"timeout_seconds": 0}, {"objects": 0}, {"pages": 1}],
)
def test_sampling_is_bounded(tmp_path: Path, wrong: dict[str, Any]) -> None:
    found = problems(tmp_path, policy_value=configs.policy() | {"sampling": wrong})
    assert len(found) == 1 and f"sampling.{next(iter(wrong))}" in found[0]


def test_a_promise_collects_categories_of_people_only(tmp_path: Path) -> None:
    policy = configs.policy()
    policy["promises"]["P2.1"]["categories"] = ["system.operations"]
    assert any("promises.P2.1.categories" in p for p in problems(tmp_path, policy_value=policy))
