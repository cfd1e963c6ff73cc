"""Which places are looked at, and what the processors' adapters say there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from include.privacy.audits import looking
from include.privacy.policy.loading import ROOT, load_config
from include.privacy.processors.protocol import Preflight
from include.privacy.runtime import Runtime, use_runtime

AS_OF = datetime(2026, 11, 20, tzinfo=UTC)


class Adapter:
    """A processor with a problem; ``scan`` finds what looks personal."""

    def preflight(self, *, as_of: datetime) -> Preflight:
        return Preflight(problems=("the key may do everything; make one with less",))

    def scan(self, as_of: datetime) -> list[Any]:
        assert as_of == AS_OF
        return [SimpleNamespace(site="example.org", dimension="event:page", pattern="email", count=3)]


class Made(Runtime):
    """The shipped configuration with two processors beside it."""

    def config(self) -> Any:
        config = load_config(ROOT / "config")
        mapped = {"plain": SimpleNamespace(promise="P5.1"), "scanned": SimpleNamespace(promise="P5.7")}
        return SimpleNamespace(data_map=config.data_map, clouds=config.clouds, processors=mapped)

    def processor(self, name: str) -> Any:
        return Adapter() if name == "scanned" else SimpleNamespace(preflight=lambda as_of: Preflight())


@pytest.fixture
def made() -> Iterator[Made]:
    with use_runtime(Made()) as runtime:
        assert isinstance(runtime, Made)
        yield runtime


def test_every_mapped_place_is_looked_at_once(made: Made) -> None:
    looks = [(each["kind"], each["name"]) for each in looking.list_looks()]
    assert len(looks) == len(set(looks))
    names = {name for _, name in looks}
    config = made.config()
    assert {s.store for s in config.data_map.stores} | {"ledger", "plain", "scanned"} <= names
    assert {each.name for each in config.clouds.logs} <= names
    assert ("rds", "snapshots_rds") in looks


def test_a_processors_problems_break_its_own_promise(made: Made) -> None:
    _, find = looking._LOOKS["processor"]
    assert list(find("plain", AS_OF, False)) == []
    found = list(find("scanned", AS_OF, False))
    assert [f.code for f in found] == ["processor_problem", "looks_personal"]
    assert "make one with less" in str(found[0])
    assert "3 values of event:page at example.org look like email" in str(found[1])
    promises = looking.promises_of({"kind": "processor", "name": "scanned"})
    assert promises == {"processor_problem": "P5.7", "looks_personal": "P5.7"}
