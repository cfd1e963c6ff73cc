"""``config/evidence.yaml``: checked like every other file, and not needed until evidence is published."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.privacy.policy.loading import ROOT, ConfigError, load_config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    return tmp_path / "config"


def test_the_shipped_file_locks_what_is_published(folder: Path) -> None:
    found = load_config(folder).evidence
    assert found is not None and found.mode == "compliance" and found.retention_days >= 365


def test_without_the_file_nothing_is_configured_and_the_rest_holds(folder: Path) -> None:
    before = load_config(folder).digest
    (folder / "evidence.yaml").unlink()
    config = load_config(folder)
    assert config.evidence is None and config.digest != before


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("origin: has blanks", "origin"),
        ("retention_days: 0", "retention_days"),
        ("mode: none", "mode"),
        ("public_keys: [abc]", "public_keys"),
        ("bukket: x", "bukket"),
    ],
)
def test_a_fault_is_named_with_its_line(folder: Path, line: str, told: str) -> None:
    path = folder / "evidence.yaml"
    name = line.split(":")[0]
    kept = [each for each in path.read_text().splitlines() if not each.startswith(f"{name}:")]
    path.write_text("\n".join([*kept, line]) + "\n")
    with pytest.raises(ConfigError) as caught:
        load_config(folder)
    assert told in str(caught.value) and "evidence.yaml" in str(caught.value)
