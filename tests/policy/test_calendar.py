"""``config/calendar.yaml``: what it says, and what it says when it cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from include.privacy.policy.calendar import Closure
from include.privacy.policy.loading import ROOT, ConfigError, Problem, load_config
from tests.policy import configs

Change = Callable[[dict[str, Any]], object]


def problems(folder: Path) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load_config(folder)
    return caught.value.problems


def broken(tmp_path: Path, change: Change) -> list[Problem]:
    value = configs.calendar()
    change(value)
    return problems(configs.write(tmp_path, calendar_value=value))


def put(*path: str | int, value: Any) -> Change:
    def change(calendar: dict[str, Any]) -> None:
        target: Any = calendar
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value

    return change


def test_the_shipped_calendar_runs_every_clock_and_takes_nothing_from_the_promise() -> None:
    config = load_config(ROOT / "config")
    regime = config.calendar.regime()
    assert {rule.law is None for rule in regime.clocks.values()} == {True, False}
    assert regime.clocks["policy_promise"].business_days == 14
    assert [r.at for r in config.calendar.reminders] == [0.5, 0.75, 0.9, 1.0]
    eu, uk = config.calendar.regime("eu"), config.calendar.regime("uk")
    assert not any(rule.pause for rule in eu.clocks.values())
    assert uk.clocks["uk_gdpr"].pause == {"identity": "restarts", "clarification": "days_added"}


def test_the_calendar_has_the_zone_of_the_policy_and_the_companys_own_days(tmp_path: Path) -> None:
    days = load_config(configs.write(tmp_path)).working_calendar()
    assert days.zone.key == "Europe/Berlin"
    assert days.closures == {date(2026, 12, d) for d in (24, 28, 29, 30)}
    assert not days.is_working_day(date(2027, 3, 8))
    policy = configs.policy() | {"timezone": "Europe/London"}
    moved = load_config(configs.write(tmp_path, policy_value=policy)).working_calendar()
    assert moved.zone.key == "Europe/London"
    assert moved.version != days.version


def test_an_unknown_regime_names_the_known_ones(tmp_path: Path) -> None:
    calendar = load_config(configs.write(tmp_path)).calendar
    assert calendar.regime("uk").id == "uk"
    with pytest.raises(KeyError, match="everybody"):
        calendar.regime("mars")


def test_the_digest_covers_the_calendar(tmp_path: Path) -> None:
    before = load_config(configs.write(tmp_path)).digest
    value = configs.calendar()
    value["closures"].append({"day": "2027-12-24", "reason": "Christmas Eve"})
    assert load_config(configs.write(tmp_path, calendar_value=value)).digest != before


def test_a_missing_calendar_says_what_to_write(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    (folder / "calendar.yaml").unlink()
    (found,) = problems(folder)
    assert found.file.endswith("calendar.yaml")
    assert found.message == "the file does not exist"
    for field in ("country", "weekend", "clocks", "regimes", "default_regime"):
        assert field in found.fix


def test_problems_of_the_calendar_come_with_those_of_the_other_files(tmp_path: Path) -> None:
    calendar, archive = configs.calendar(), configs.archive()
    del calendar["weekend"]
    calendar["roles"]["privacy_team"]["conection"] = calendar["roles"]["privacy_team"].pop("connection")
    archive["kind"] = "mysql"
    folder = configs.write(tmp_path, calendar_value=calendar, archive_value=archive)
    found = problems(folder)
    assert {p.file.rsplit("/", 1)[-1] for p in found} == {"calendar.yaml", "10_archive.yaml"}
    by_field = {p.field: p for p in found}
    assert by_field["weekend"].fix == "add `weekend: …` with the free weekdays, e.g. [saturday, sunday]"
    misspelt = by_field["roles.privacy_team.conection"]
    assert misspelt.fix == "write `connection` instead"
    lines = (folder / "calendar.yaml").read_text().splitlines()
    assert "conection" in lines[misspelt.line - 1]


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ("UK", "write GB"),
        ("Germany", "write DE"),
        ("germny", "write DE"),
        ("united states", "write US"),
        ("DEU", "write DE"),
        ("de", "write DE"),
        ("Atlantis Republic of the Sea", "write one of AD, AE, AF"),
    ],
)
def test_an_unknown_country_names_the_one_that_was_meant(tmp_path: Path, written: str, fix: str) -> None:
    (found,) = broken(tmp_path, put("country", value=written))
    assert found.field == "country"
    assert found.fix.startswith(fix)


@pytest.mark.parametrize(
    ("country", "written", "fix"),
    [
        ("DE", "Berlin", "write BE"),
        ("DE", "DE-BE", "write BE"),
        ("DE", "Baden-Wuerttemberg", "write BW"),
        ("GB", "Engand", "write ENG"),
        ("DE", "Transylvania", "write one of Augsburg, BB, BE"),
        ("AF", "KBL", "remove it"),
    ],
)
def test_an_unknown_subdivision_names_the_one_that_was_meant(
    tmp_path: Path, country: str, written: str, fix: str
) -> None:
    (found,) = broken(tmp_path, lambda c: c.update(country=country, subdivision=written))
    assert found.field == "subdivision"
    assert found.fix.startswith(fix)


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ("europe/berlin", "write Europe/Berlin"),
        ("Europe/Brelin", "write Europe/Berlin"),
        ("Mars/Base", "write e.g. Europe/Berlin or UTC"),
    ],
)
def test_an_unknown_zone_names_the_one_that_was_meant(tmp_path: Path, written: str, fix: str) -> None:
    policy = configs.policy() | {"timezone": written}
    (found,) = problems(configs.write(tmp_path, policy_value=policy))
    assert (found.field, found.fix) == ("timezone", fix)


def test_norway_without_quotes_is_explained(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    path = folder / "calendar.yaml"
    path.write_text(path.read_text().replace("country: DE", "country: NO"))
    (found,) = problems(folder)
    assert found.field == "country"
    assert "Norway" in found.fix


PROMISE = {"promise": "P6.6", "business_days": 14}
CASES: dict[str, tuple[Change, str, str]] = {
    "a closure of no days": (
        put("closures", 0, value={"reason": "x"}),
        "closures[0]",
        "either `day`, or `from` and `to`",
    ),
    "a closure that is a day and a range": (
        put("closures", 1, "day", value="2026-12-28"),
        "closures[1]",
        "either `day`, or `from` and `to`",
    ),
    "a closure without end": (
        lambda c: c["closures"][1].pop("to"),
        "closures[1]",
        "give both `from` and `to`",
    ),
    "a closure that ends before it begins": (
        put("closures", 1, "to", value="2026-12-01"),
        "closures[1]",
        "must not lie before",
    ),
    "a closure of two months": (
        put("closures", 1, "to", value="2027-02-28"),
        "closures[1]",
        "would empty the promise",
    ),
    "a closure without reason": (
        lambda c: c["closures"][0].pop("reason"),
        "closures[0].reason",
        "add `reason",
    ),
    "a closure on no date": (put("closures", 0, "day", value="soon"), "closures[0].day", "2026-12-24"),
    "a weekday of fantasy": (put("weekend", 0, value="caturday"), "weekend[0]", "'saturday'"),
    "a week without work": (
        put("weekend", value=["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]),
        "weekend",
        "saturday, sunday",
    ),
    "a promise longer than promised": (
        put("clocks", "policy_promise", "business_days", value=15),
        "clocks.policy_promise.business_days",
        "write 14 or fewer",
    ),
    "a promise in calendar days": (
        put("clocks", "policy_promise", value={"promise": "P6.6", "days": 14}),
        "clocks.policy_promise.days",
        "write business_days: 14",
    ),
    "a promise nobody made": (
        put("clocks", "gdpr", value={"promise": "P6.9", "months": 1}),
        "clocks.gdpr.promise",
        "write P6.",
    ),
    "a promise that extends itself": (
        put("clocks", "policy_promise", value=PROMISE | {"extension": {"business_days": 5}}),
        "clocks.policy_promise",
        "only a law grants them",
    ),
    "a promise that pauses itself": (
        put("clocks", "policy_promise", value=PROMISE | {"pause": {"identity": "restarts"}}),
        "clocks.policy_promise",
        "only a law grants them",
    ),
    "a clock of two units": (put("clocks", "gdpr", "days", value=30), "clocks.gdpr", "exactly one of"),
    "a clock of no unit": (lambda c: c["clocks"]["gdpr"].pop("months"), "clocks.gdpr", "exactly one of"),
    "a clock of half a month": (
        put("clocks", "gdpr", "months", value=0.5),
        "clocks.gdpr.months",
        "whole number of months",
    ),
    "a clock of nobody": (lambda c: c["clocks"]["gdpr"].pop("law"), "clocks.gdpr", "either `promise`"),
    "an extension in another unit": (
        put("clocks", "gdpr", "extension", value={"days": 60}),
        "clocks.gdpr",
        "write the extension in months",
    ),
    "a pause for lunch": (
        put("clocks", "gdpr", "pause", value={"lunch": "restarts"}),
        "clocks.gdpr.pause.lunch",
        "'identity'",
    ),
    "a pause that forgets": (
        put("clocks", "gdpr", "pause", value={"identity": "forgets"}),
        "clocks.gdpr.pause.identity",
        "'restarts' or 'days_added'",
    ),
    "a regime with a clock of fantasy": (
        put("regimes", "uk", "clocks", 1, value="uk_gpdr"),
        "regimes.uk.clocks[1]",
        "write uk_gdpr",
    ),
    "a regime with a clock twice": (
        put("regimes", "uk", "clocks", 1, value="policy_promise"),
        "regimes.uk.clocks[1]",
        "keep one",
    ),
    "a regime without clocks": (
        put("regimes", "uk", "clocks", value=[]),
        "regimes.uk.clocks",
        "[policy_promise",
    ),
    "a regime that forgets the promise": (
        put("regimes", "uk", "clocks", value=["uk_gdpr"]),
        "regimes.uk.clocks",
        "add policy_promise",
    ),
    "a default of fantasy": (put("default_regime", value="everbody"), "default_regime", "write everybody"),
    "a role of fantasy": (
        put("reminders", 0, "to", 0, value="privacy_taem"),
        "reminders[0].to[0]",
        "write privacy_team",
    ),
    "no roles at all": (
        lambda c: (c.pop("roles"), c["reminders"].pop()),
        "reminders[0].to[0]",
        "add `roles: {privacy_team: {}}`",
    ),
    "a role called by its address": (
        put("roles", "privacy_team", "connection", value="jo@company.example"),
        "roles.privacy_team.connection",
        "the id of an Airflow connection",
    ),
    "a person as a role": (put("roles", "Jo Smith", value={}), "roles.Jo Smith", "write a plain name"),
    "a reminder after the end": (put("reminders", 1, "at", value=1.5), "reminders[1].at", "up to 1"),
    "reminders out of order": (put("reminders", 1, "at", value=0.5), "reminders[1].at", "the smallest first"),
    "a reminder to nobody": (put("reminders", 0, "to", value=[]), "reminders[0].to", "[privacy_team]"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_calendar_that_does_not_hold_together_says_where_and_what_to_write(
    tmp_path: Path, name: str
) -> None:
    change, field, fix = CASES[name]
    found = broken(tmp_path, change)
    assert [p.field for p in found] == [field], found
    assert fix in found[0].fix
    assert found[0].line > 1
    assert "jo@company" not in str(found[0])


def test_without_a_clock_for_the_promise_the_calendar_says_how_to_add_it(tmp_path: Path) -> None:
    def change(calendar: dict[str, Any]) -> None:
        del calendar["clocks"]["policy_promise"]
        for regime in calendar["regimes"].values():
            regime["clocks"].remove("policy_promise")

    (found,) = broken(tmp_path, change)
    assert (found.field, found.message) == ("clocks", "no clock keeps promise P6.6")
    assert "business_days: 14" in found.fix


def test_a_closure_is_a_day_or_all_days_of_a_range() -> None:
    one = Closure(day=date(2026, 12, 24), reason="x")
    range_ = Closure.model_validate({"from": "2026-12-30", "to": "2027-01-01", "reason": "x"})
    assert list(one.days()) == [date(2026, 12, 24)]
    assert list(range_.days()) == [date(2026, 12, 30), date(2026, 12, 31), date(2027, 1, 1)]
