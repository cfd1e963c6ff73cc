"""Plausible's adapter: nothing is held of anybody, and the scan that proves it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from include.privacy.connections import ConnectionInfo
from include.privacy.policy.loading import load_config
from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors import plausible
from include.privacy.processors.plausible import Finding, Plausible, connect
from include.privacy.processors.protocol import (
    Person,
    Processor,
    ProcessorError,
    ProcessorRefusedError,
    ProcessorUnavailableError,
    State,
)
from tests.processors.matrix import FAULTS, carry_out
from tests.processors.openapi import SPECS, needs
from tests.processors.standing import Standing, standing

AS_OF = datetime(2026, 11, 25, 10, tzinfo=UTC)
KEY = "pl-key-of-the-stand-in"
SITE = "practice-engine.example"
SOMEBODY = Person("r-1", ("ada@people.example",), {"public_id": ("0b9dd3a8-6b5e-4f1a-9d1c-4f1f6d3f9a10",)})


@pytest.fixture(scope="module")
def mapped() -> ProcessorMap:
    return load_config().processors["plausible"]


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[Standing]:
    with standing("plausible", tmp_path, KEY) as running:
        created = (AS_OF - timedelta(days=30)).isoformat()
        running.control.seed([{"account_id": n, "created_at": created} for n in range(40)])
        yield running


@pytest.fixture
def api(mapped: ProcessorMap, stand_in: Standing) -> Iterator[Plausible]:
    made = adapter(mapped, stand_in)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sleeps here, so an hour's share would be used up in a moment."""
    monkeypatch.setattr(plausible, "CALLS", 1_000_000)


def adapter(mapped: ProcessorMap, stand_in: Standing, key: str = KEY) -> Plausible:
    info = ConnectionInfo("plausible", "generic", password=key)
    return connect(
        mapped, info, stand_in.endpoint, timeout=timedelta(seconds=0.5), sleep=lambda seconds: None
    )


def test_it_is_a_processor_that_no_right_reaches(mapped: ProcessorMap, api: Plausible) -> None:
    as_processor: Processor = api
    assert as_processor.name == mapped.processor
    assert (mapped.rights, mapped.identifiers) == ((), ())


@pytest.mark.parametrize("action", ["erase", "rectify", "object", "restrict"])
def test_nothing_is_held_of_anybody(action: Any, stand_in: Standing, api: Plausible) -> None:
    people = [SOMEBODY, Person("r-2")]
    reports = carry_out(api, action, people, as_of=AS_OF, values={"r-1": {"email": "b@people.example"}})
    assert {r: report.state for r, report in reports.items()} == dict.fromkeys(("r-1", "r-2"), State.not_held)


def test_only_the_probe_of_an_erasure_makes_calls(stand_in: Standing, api: Plausible) -> None:
    for report in (api.erase, api.settle, api.restrict):
        assert [r.outcomes[0].code for r in report([SOMEBODY], as_of=AS_OF)] == ["nobody_identifiable"]
    assert list(api.verify([], as_of=AS_OF)) == []
    assert not stand_in.said


def test_find_and_export_are_empty(stand_in: Standing, api: Plausible) -> None:
    assert [f.counts for f in api.find([SOMEBODY])] == [{}]
    assert [e.collections for e in api.export([SOMEBODY])] == [{}]
    assert not stand_in.said


def test_ordinary_visits_raise_no_alarm(api: Plausible) -> None:
    assert api.scan(AS_OF) == ()


def test_whatever_looks_personal_is_a_finding_without_its_value(stand_in: Standing, api: Plausible) -> None:
    views = [
        {"page": "/welcome?email=ada%40people.example"},
        {"page": "/welcome/bob@people.example"},
        {"props": {"user_id": "4711"}},
        {"name": "Outbound Link: Click", "props": {"url": "https://x.example/?first_name=Ada"}},
        {"referrer": "https://mail.example/u/ada@people.example"},
    ]
    stand_in.control.configure(inject=views)
    found = api.scan(AS_OF)
    assert found == (
        Finding(SITE, "event:page", "email", 2),
        Finding(SITE, "event:page", "name", 1),
        Finding(SITE, "event:props:url", "name", 1),
        Finding(SITE, "event:props:user_id", "account", 1),
        Finding(SITE, "visit:referrer", "email", 1),
    )
    assert "ada" not in repr(found).lower() and "4711" not in repr(found)


def test_a_scan_can_be_of_the_last_days(stand_in: Standing, api: Plausible) -> None:
    old, new = AS_OF - timedelta(days=9), AS_OF - timedelta(days=1)
    stand_in.control.configure(inject=[{"page": "/a@people.example", "at": old.isoformat()}])
    assert api.scan(AS_OF, since=AS_OF - timedelta(days=2)) == ()
    stand_in.control.configure(inject=[{"page": "/b@people.example", "at": new.isoformat()}])
    assert [f.count for f in api.scan(AS_OF, since=AS_OF - timedelta(days=2))] == [1]
    assert [f.count for f in api.scan(AS_OF)] == [2]


def test_verify_finds_the_person_and_tells_plausible_nothing(stand_in: Standing, api: Plausible) -> None:
    stand_in.control.configure(
        inject=[
            {"page": "/welcome?to=ADA%40people.example"},
            {"props": {"member": SOMEBODY.ids["public_id"][0]}},
        ]
    )
    found = {
        f.reference: f.counts
        for f in api.verify([SOMEBODY, Person("r-2", ("x@people.example",))], as_of=AS_OF)
    }
    assert found == {"r-1": {"event:page": 1, "event:props:member": 1}, "r-2": {}}
    assert not any(b"people.example" in e.request.body or "people" in e.request.path for e in stand_in.said)


def test_all_rows_and_all_properties_are_read(
    stand_in: Standing, api: Plausible, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.control.configure(
        inject=[{"page": f"/p-{n}/x{n}@people.example", "props": {f"prop-{n:03d}": "1"}} for n in range(130)]
    )
    monkeypatch.setattr(plausible, "PAGE", 50)
    assert api.scan(AS_OF) == (Finding(SITE, "event:page", "email", 130),)
    properties = [e for e in stand_in.said if e.request.path.endswith("custom-props")]
    assert [e.request.query.get("after") for e in properties] == [None, "100"]


def test_preflight_names_what_the_key_may_not(
    mapped: ProcessorMap, stand_in: Standing, api: Plausible
) -> None:
    assert api.preflight(as_of=AS_OF).problems == ()
    stand_in.control.configure(off=["sites_api"])
    found = api.preflight(as_of=AS_OF)
    assert found.features == {"stats_api": True, "sites_api": False} and "sites scope" in found.problems[0]
    with pytest.raises(ProcessorRefusedError):
        api.scan(AS_OF)
    wrong = adapter(mapped, stand_in, key="another")
    with pytest.raises(ProcessorRefusedError, match="password"):
        wrong.scan(AS_OF)
    wrong.close()


@pytest.mark.parametrize(
    ("settings", "password", "words"),
    [
        ({}, "x", "settings.sites"),
        ({"sites": []}, "x", "settings.sites"),
        ({"sites": ["a"]}, None, "API key"),
    ],
)
def test_what_is_missing_is_named(
    mapped: ProcessorMap, settings: dict[str, Any], password: str | None, words: str
) -> None:
    info = ConnectionInfo("plausible", "generic", password=password)
    with pytest.raises(ValueError, match=words):
        connect(mapped.model_copy(update={"settings": settings}), info, None)


def test_a_site_that_is_not_ours_is_said_plainly(mapped: ProcessorMap, stand_in: Standing) -> None:
    other = adapter(mapped.model_copy(update={"settings": {"sites": ["other.example"]}}), stand_in)
    with pytest.raises(ProcessorRefusedError, match=r"settings\.sites"):
        other.scan(AS_OF)
    other.close()


@pytest.mark.parametrize("path", ["custom-props", "query"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_scan_is_whole_or_raises(name: str, path: str, stand_in: Standing, api: Plausible) -> None:
    stand_in.control.configure(inject=[{"page": "/welcome/bob@people.example"}])
    expected = api.scan(AS_OF)
    stand_in.control.fail(**FAULTS[name], path=path)
    for _ in range(6):
        try:
            found = api.scan(AS_OF)
            break
        except ProcessorError:
            continue
    assert found == expected
    assert [f.reference for f in api.verify([SOMEBODY], as_of=AS_OF)] == ["r-1"]


def test_the_hourly_limit_ends_in_a_later_run(stand_in: Standing, api: Plausible) -> None:
    stand_in.control.configure(limit=3)
    with pytest.raises(ProcessorUnavailableError, match="next run"):
        api.scan(AS_OF)


def test_no_log_and_no_error_holds_a_value_or_the_key(
    stand_in: Standing, api: Plausible, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stand_in.control.configure(inject=[{"page": "/welcome/bob@people.example"}])
    api.scan(AS_OF)
    stand_in.control.fail(kind="malformed", path="query", count=20)
    with pytest.raises(ProcessorError) as caught:
        api.scan(AS_OF)
    for secret in ("bob", KEY, "ada@"):
        assert secret not in caplog.text + repr(caught.value)


@needs("plausible/query-api-schema.json")
def test_every_query_is_one_of_plausibles_schema(stand_in: Standing, api: Plausible) -> None:
    schema = json.loads((SPECS / "plausible" / "query-api-schema.json").read_text())
    judge = Draft7Validator(schema, format_checker=FormatChecker())
    stand_in.control.configure(inject=[{"props": {"url": "https://x.example/"}}])
    assert api.preflight(as_of=AS_OF).problems == ()
    api.scan(AS_OF)
    api.scan(AS_OF, since=AS_OF - timedelta(days=2))
    queries = [e.request.json() for e in stand_in.said if e.request.method == "POST"]
    assert len(queries) > 20
    assert [str(p.message) for q in queries for p in judge.iter_errors(q)] == []
    assert list(judge.iter_errors({**queries[0], "dimension": []})), "the judge is strict"
