"""Configuration files: every problem at once, each with its line and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.privacy.policy.loading import ROOT, ConfigError, Problem, load_config, load_data_map, load_policy
from tests.policy import configs


def problems(folder: Path) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load_config(folder)
    return caught.value.problems


def line_of(path: Path, text: str) -> int:
    return next(n for n, line in enumerate(path.read_text().splitlines(), start=1) if text in line)


def test_the_shipped_configuration_holds_together() -> None:
    config = load_config(ROOT / "config")
    assert config.data_map.stores[-1].store == config.data_map.root.store
    assert len(config.policy.promises) == 33


def test_a_sound_configuration_loads_in_the_order_of_its_files(tmp_path: Path) -> None:
    config = load_config(configs.write(tmp_path))
    assert [s.store for s in config.data_map.stores] == ["archive", "people"]
    assert config.policy.rule("purge").limit_days == 90


def test_the_digest_follows_meaning_and_not_comments(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    before = load_config(folder).digest
    path = folder / "policy.yaml"
    path.write_text("# a comment\n" + path.read_text())
    assert load_config(folder).digest == before
    value = configs.policy()
    value["rules"][1]["target_days"] = 31
    assert load_config(configs.write(tmp_path, policy_value=value)).digest != before


def test_the_folder_can_be_chosen_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVACY_CONFIG_DIR", str(configs.write(tmp_path)))
    assert load_config().policy.version == "1"


def test_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    policy, people, archive = configs.policy(), configs.people(), configs.archive()
    policy["rules"][0]["gaurd"] = policy["rules"][0].pop("guard")
    people["tables"]["accounts"]["columns"]["email"]["category"] = "contact"
    archive["backups"][0]["prefix"] = "/backups"
    found = problems(configs.write(tmp_path, policy_value=policy, people_value=people, archive_value=archive))
    assert {p.file.rsplit("/", 1)[-1] for p in found} == {"policy.yaml", "90_people.yaml", "10_archive.yaml"}
    fields = {p.field for p in found}
    assert {"rules[0].gaurd", "rules[0].guard", "tables.accounts.columns.email.category"} <= fields


def test_a_misspelt_field_names_the_right_one_and_its_line(tmp_path: Path) -> None:
    policy = configs.policy()
    policy["rules"][2]["target_day"] = policy["rules"][2].pop("target_days")
    folder = configs.write(tmp_path, policy_value=policy)
    found = {p.field: p for p in problems(folder)}
    assert found["rules[2].target_day"].fix == "write `target_days` instead"
    assert found["rules[2].target_day"].line == line_of(folder / "policy.yaml", "target_day:")
    assert found["rules[2].target_days"].message == "is missing"


def test_a_problem_prints_as_file_line_field_message_and_fix(tmp_path: Path) -> None:
    value = configs.people()
    value["tables"]["tokens"]["columns"]["account_id"] = {"category": "person"}
    folder = configs.write(tmp_path, people_value=value)
    (found,) = problems(folder)
    assert str(found).startswith(
        f"{tmp_path}/data_map/90_people.yaml:{found.line}: tables.tokens.columns.account_id"
    )
    assert "fideslang" in found.fix


def test_a_wrong_path_is_one_problem_and_not_one_per_kind_of_path(tmp_path: Path) -> None:
    value = configs.people()
    value["tables"]["posts"]["subjects"]["answered"]["path"] = {
        "columns": ["parent_id"],
        "refrences": "posts",
    }
    found = problems(configs.write(tmp_path, people_value=value))
    assert {p.field.rsplit(".", 1)[-1] for p in found} == {"refrences", "references"}
    assert "write `references` instead" in {p.fix for p in found}


def test_a_path_that_is_no_path_is_one_problem(tmp_path: Path) -> None:
    value = configs.people()
    value["tables"]["tokens"]["subjects"]["holder"]["path"] = 7
    (found,) = problems(configs.write(tmp_path, people_value=value))
    assert found.field.startswith("tables.tokens.subjects.holder.path")


def test_target_and_limit_must_leave_room_for_a_failed_week(tmp_path: Path) -> None:
    value = configs.policy()
    value["rules"][1]["target_days"] = 90
    (found,) = problems(configs.write(tmp_path, policy_value=value))
    assert "target_days must be below limit_days" in found.fix


@pytest.mark.parametrize("kind", [None, "mysql", 3])
def test_a_store_of_unknown_kind_is_refused(tmp_path: Path, kind: object) -> None:
    value = configs.archive()
    value["kind"] = kind
    found = problems(configs.write(tmp_path, archive_value=value))
    assert [(p.field, p.fix) for p in found] == [("kind", "write kind: postgres, s3 or gcs")]


def test_a_key_written_twice_is_a_problem_and_not_a_silent_loss(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    path = folder / "policy.yaml"
    path.write_text(path.read_text() + 'version: "2"\n')
    (found,) = problems(folder)
    assert (found.field, found.message, found.fix) == (
        "version",
        "is written twice",
        "keep one; the first is on line 1",
    )


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    (folder / "policy.yaml").write_text("version: '1'\nrules: [\n")
    (found,) = problems(folder)
    assert found.line >= 2
    assert "YAML" in found.message


@pytest.mark.parametrize("text", ["", "- a list\n", "just text"])
def test_a_file_without_fields_is_refused(tmp_path: Path, text: str) -> None:
    folder = configs.write(tmp_path)
    (folder / "policy.yaml").write_text(text)
    assert any("must hold fields" in p.message for p in problems(folder))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    (folder / "policy.yaml").write_bytes(b"\xff\xfe\x00")
    (found,) = problems(folder)
    assert "UTF-8" in found.fix


def test_an_impossible_date_is_a_problem_and_not_an_exception(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    text = (folder / "policy.yaml").read_text().replace("'2026-01-01'", "2026-13-45")
    (folder / "policy.yaml").write_text(text)
    assert problems(folder)


def test_a_yaml_file_that_contains_itself_does_not_hang(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    (folder / "policy.yaml").write_text("a: &a\n  b: *a\n")
    assert problems(folder)


def test_an_empty_folder_says_what_belongs_there(tmp_path: Path) -> None:
    found = problems(tmp_path)
    assert {p.message for p in found} == {"the file does not exist", "the folder holds no data map"}


def test_words_that_yaml_reads_as_booleans_are_explained(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    path = folder / "data_map" / "90_people.yaml"
    path.write_text(path.read_text().replace("      code:", "      on:"))
    assert any("quote words" in p.fix for p in problems(folder))


def test_policy_and_data_map_can_be_read_alone(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    assert load_policy(folder / "policy.yaml").version == "1"
    assert len(load_data_map(folder / "data_map").stores) == 2
    (folder / "policy.yaml").write_text("version: 1\n")
    with pytest.raises(ConfigError):
        load_policy(folder / "policy.yaml")
    (folder / "data_map" / "10_archive.yaml").write_text("kind: s3\n")
    with pytest.raises(ConfigError):
        load_data_map(folder / "data_map")


def test_a_broken_store_file_does_not_accuse_the_others(tmp_path: Path) -> None:
    value = configs.archive()
    del value["bucket"]
    found = problems(configs.write(tmp_path, archive_value=value))
    assert [(p.field, p.message) for p in found] == [("bucket", "is missing")]


def test_enforced_by_accepts_a_word_a_list_and_mappings(tmp_path: Path) -> None:
    value = configs.policy()
    value["promises"]["P7.4"]["enforced_by"] = [{"outside": "the auditors"}, {"planned": "audit_controls"}]
    policy = load_config(configs.write(tmp_path, policy_value=value)).policy
    assert policy.promises["P7.4"].enforced_by == ("outside: the auditors", "planned: audit_controls")
    assert policy.promises["P4.2"].enforced_by == ("purge",)
