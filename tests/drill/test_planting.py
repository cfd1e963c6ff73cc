"""Who plants, and who is planted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from include.privacy.connections import ConnectionInfo
from include.privacy.drill.planter import NoPlanterError, Planted, load_planter, planted_of
from include.privacy.ledger.states import DRILL
from include.privacy.policy.drill import DrillSettings
from include.privacy.policy.loading import load_config
from include.privacy.policy.problems import ConfigError
from include.privacy.runtime import Runtime, use_runtime
from include.sandbox import next_version
from include.sandbox.drill import SandboxPlanter
from include.sandbox.platform import drilled
from include.sandbox.processes import SandboxError

AS_OF = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """The shipped configuration, and stores on another machine."""

    def connect(conn_id: str) -> ConnectionInfo:
        extra = {"endpoint_url": "https://elsewhere.example", "region_name": "eu-central-1"}
        return ConnectionInfo(conn_id, "postgres", "db.elsewhere.example", 5432, "a", "b", "c", extra)

    monkeypatch.setenv("PGPASSWORD", "unused")
    with use_runtime(Runtime(connect, load_config)) as runtime:
        yield runtime


def test_the_sandbox_s_planter_plants_on_this_machine_only(far_away: Runtime) -> None:
    with pytest.raises(SandboxError, match="this machine only"):
        SandboxPlanter().plant(str(uuid4()), AS_OF)


@pytest.mark.parametrize("path", ["include.sandbox.drill:Nobody", "no.such.module:Planter"])
def test_a_planter_that_cannot_be_loaded_is_named_with_what_to_write(path: str) -> None:
    config = replace(load_config(), drill=DrillSettings(planter=path))
    with use_runtime(Runtime(load=lambda: config)), pytest.raises(NoPlanterError, match=re.escape(path)):
        load_planter()


def test_without_a_planter_the_drill_is_off(tmp_path: Path) -> None:
    folder = next_version.copy_config(tmp_path / "config")
    (folder / "drill.yaml").unlink()
    with use_runtime(Runtime(load=lambda: load_config(folder))):
        assert load_planter() is None


def test_a_misspelt_setting_is_told_with_its_line(tmp_path: Path) -> None:
    folder = next_version.copy_config(tmp_path / "config")
    (folder / "drill.yaml").write_text(yaml.safe_dump({"planter": "a.b:C", "evry_days": 7}))
    with pytest.raises(ConfigError, match=r"drill\.yaml:1.*evry_days|evry_days"):
        load_config(folder)


def test_every_state_has_a_step_and_a_deadline() -> None:
    from include.privacy.drill.steps import STEPS

    assert set(STEPS) == set(DRILL) - {""}
    settings = load_config().drill
    assert all(settings.waits(state).total_seconds() > 0 for state in STEPS)
    assert settings.waits("asked_erasure") > settings.waits("asked_access")


def test_who_is_planted_follows_from_the_drill_alone_and_is_like_nobody_else() -> None:
    references = [f"drill {n}" for n in range(50)]
    people = [drilled.marker(reference) for reference in references]
    assert people == [drilled.marker(reference) for reference in references]
    assert len({p.account_id for p in people} | {p.emails for p in people}) == 100
    for one, other in pairwise(people):
        looked_for = re.compile(drilled.pattern(one))
        mine = [*one.emails, one.full_name, *one.texts, f"({one.account_id},x)", one.texts[0].encode().hex()]
        assert all(looked_for.search(trace) for trace in mine)
        theirs = [*other.emails, other.full_name, *other.texts, f"1{one.account_id}", f"{one.account_id}0"]
        assert not any(looked_for.search(trace) for trace in theirs)


def test_what_was_planted_comes_back_from_the_ledger_as_it_was_and_shows_itself_to_no_log() -> None:
    planted = Planted("1", {"accounts": "word"}, {"full_name": "A B"}, {"reference": "r"})
    assert planted_of(planted.stored()) == planted
    assert "word" not in repr(planted) and "A B" not in repr(planted)
