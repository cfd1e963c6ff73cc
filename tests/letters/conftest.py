"""The shipped letters, and a copy of them that a test may break."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from include.privacy.letters.checking import letter_problems
from include.privacy.letters.rendering import Letters
from include.privacy.policy.loading import ROOT, load_config
from include.privacy.policy.problems import Problem
from tests.policy import configs

ZONE = "Europe/Berlin"


@pytest.fixture(scope="session")
def letters() -> Letters:
    return Letters(load_config(ROOT / "config").letters, ZONE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration whose letters are a copy of the shipped ones."""
    shutil.copytree(ROOT / "config" / "letters", tmp_path / "letters")
    return configs.write(tmp_path)


@pytest.fixture
def change(folder: Path) -> Callable[..., None]:
    """``change("en/refused.txt", "old", "new")`` in the copy; the old text must be there."""

    def apply(name: str, old: str, new: str) -> None:
        path = folder / "letters" / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return apply


@pytest.fixture
def problems(folder: Path) -> Callable[[], list[Problem]]:
    """What ``make check`` says about the copy."""
    return lambda: sorted(set(letter_problems(load_config(folder).letters, ZONE)))
