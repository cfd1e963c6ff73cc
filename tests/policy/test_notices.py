"""Versions that are announced: their dates, what differs, what is wrong with their folders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.letters.notices import NoticeWriter, notice_writer_problems
from include.privacy.notices.drafting import DraftError, draft
from include.privacy.policy.differences import differences
from include.privacy.policy.loading import ConfigError, load_config, load_policy
from include.privacy.policy.notice_dates import applies_from, earliest_effective, notice_dates
from include.sandbox import next_version
from include.sandbox.next_version import VERSION, announce, copy_config

ZONES = ("Europe/Berlin", "UTC", "America/New_York", "America/Sao_Paulo", "Pacific/Auckland", "Asia/Beirut")
days = st.dates(min_value=date(2024, 1, 1), max_value=date(2033, 12, 31))
instants = st.integers(1_704_067_200, 2_016_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(days, st.sampled_from(ZONES), st.integers(31, 90))
def test_whoever_is_written_to_in_time_has_thirty_times_twenty_four_hours(
    day: date, zone: str, lead: int
) -> None:
    dates = notice_dates(day, zone, lead)
    assert dates.effective_at - dates.dispatch_by == timedelta(days=30)
    assert dates.effective_at.astimezone(ZoneInfo(zone)).date() == day
    assert (dates.effective_at - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).date() < day
    assert dates.launch_at < dates.dispatch_by
    begins = datetime.combine(dates.last_day, datetime.min.time(), tzinfo=ZoneInfo(zone))
    assert begins.astimezone(UTC) <= dates.dispatch_by - timedelta(days=1)


@given(instants, st.sampled_from(ZONES))
def test_the_earliest_date_is_lawful_and_the_day_before_it_is_not(as_of: datetime, zone: str) -> None:
    day = earliest_effective(as_of, zone)
    assert notice_dates(day, zone, 35).dispatch_by >= as_of + timedelta(days=1)
    before = notice_dates(day - timedelta(days=1), zone, 35)
    assert before.dispatch_by < as_of + timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "dispatch_by"),
    [
        # The clocks change in between: the month of 30 days is an hour longer or shorter on the wall.
        (date(2026, 4, 20), "2026-03-20T22:00:00+00:00"),
        (date(2026, 11, 10), "2026-10-10T23:00:00+00:00"),
        (date(2028, 3, 15), "2028-02-13T23:00:00+00:00"),  # a leap day in between
    ],
)
def test_thirty_days_across_a_change_of_clocks_and_a_leap_day(day: date, dispatch_by: str) -> None:
    assert notice_dates(day, "Europe/Berlin", 35).dispatch_by == datetime.fromisoformat(dispatch_by)


def test_to_whoever_is_told_late_a_version_applies_late() -> None:
    effective = datetime(2027, 1, 1, tzinfo=UTC)
    assert applies_from(effective - timedelta(days=31), effective) == effective
    assert applies_from(effective - timedelta(days=2), effective) == effective + timedelta(days=28)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = copy_config(tmp_path / "config")
    announce(folder, date(2027, 6, 1))
    return folder


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = yaml.safe_load(path.read_text())
    change(value)
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def problems(config: Path) -> str:
    try:
        loaded = load_config(config)
    except ConfigError as error:
        return str(error)
    found = notice_writer_problems(loaded.notices, loaded.letters, loaded.policy.timezone)
    return "\n".join(str(each) for each in found)


def test_what_differs_is_told_promise_by_promise_and_nothing_else(config: Path) -> None:
    old, new = load_policy(config / "policy.yaml"), load_policy(config / "notices" / VERSION / "policy.yaml")
    found = [(d.promise, d.before, d.after) for d in differences(old, new)]
    assert found == [
        ("P2.4", "90 days at most", "60 days at most"),
        ("P2.4", "1096 days", "1461 days"),
    ] or found == [
        ("P2.4", "1096 days", "1461 days"),
        ("P2.4", "90 days at most", "60 days at most"),
    ]
    assert differences(old, old) == []


def test_a_complete_version_is_read_and_its_letters_say_what_they_must(config: Path) -> None:
    assert problems(config) == ""
    loaded = load_config(config)
    notice = loaded.notices.notice(VERSION)
    writer = NoticeWriter(notice, loaded.notices, loaded.letters, loaded.policy.timezone)
    for language, day in (("en", "1 June 2027"), ("de", "1. Juni 2027")):
        letter = writer.write(language)
        assert day in letter.subject
        for said in (day, "https://", VERSION, *(c.summary[language] for c in notice.head.changes)):
            assert said in letter.text, said
            assert said in letter.html, said
    moved = writer.write("en", effective=date(2027, 7, 1))
    assert "1 July 2027" in moved.text
    assert "June" not in moved.text
    assert notice.language("de-AT") == "de"
    assert notice.language("fr") == notice.language(None) == "en"


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("notice.yaml", lambda v: v.update(version="2028"), "and the folder 2027"),
        ("notice.yaml", lambda v: v.update(effective=date(2027, 7, 1)), "not the date that notice.yaml"),
        ("notice.yaml", lambda v: v["changes"][0]["after"].pop("de"), "says nothing in de"),
        ("notice.yaml", lambda v: v.update(material=False), "only an editorial change needs no notice"),
        ("notice.yaml", lambda v: v["changes"][0].update(promise="P9.9"), "which neither policy has"),
        ("notice.yaml", lambda v: v.update(changes=[]), "changes"),
        ("notice.yaml", lambda v: v.update(previous="2027"), "version and previous are the same"),
        ("policy.yaml", lambda v: v.update(version="2029"), "notice.yaml announces 2027"),
        ("policy.yaml", lambda v: v["rules"][0].update(limit_days=36), "does not tell of P4.1"),
    ],
)
def test_a_folder_that_contradicts_itself_or_hides_something_is_refused(
    config: Path, file: str, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    edit(config / "notices" / VERSION / file, change)
    assert said in problems(config)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{{ policy_url }}", "somewhere", "does not say policy_url"),
        ("{{ contact.name }}", "{{ whoever }}", "a notice knows no whoever"),
        ("{% endblock %}", "<img src='https://t.example/p.gif'>{% endblock %}", "loads and runs nothing"),
        ("{% endblock %}", "<a href='%unsubscribe%'>x</a>{% endblock %}", "nobody can unsubscribe"),
        ("{{ effective | day }}", "{{ effective | nonsense }}", "Jinja2"),
    ],
)
def test_a_letter_that_is_silent_broken_or_tells_on_its_reader_is_refused(
    config: Path, old: str, new: str, said: str
) -> None:
    path = config / "notices" / VERSION / "en" / "notice.html"
    path.write_text(path.read_text().replace(old, new))
    assert said in problems(config)


def test_tables_that_the_map_does_not_know_are_refused_by_field(config: Path) -> None:
    edit(config / "notices" / "notices.yaml", lambda v: v["acceptances"].update(table="policy_acceptance"))
    assert "maps no table 'policy_acceptance'; write policy_acceptances" in problems(config)


def test_a_draft_is_refused_for_a_version_that_exists_or_changes_nothing(config: Path) -> None:
    loaded, notices = load_config(config), config / "notices"
    with pytest.raises(DraftError, match="exists; edit it"):
        draft(loaded, notices, notices / VERSION / "policy.yaml", ("en",))
    with pytest.raises(DraftError, match="name another"):
        draft(loaded, notices, config / "policy.yaml", ("en",))
    same = config.parent / "same.yaml"
    same.write_text((config / "policy.yaml").read_text().replace('version: "2026-10"', 'version: "2026-11"'))
    with pytest.raises(DraftError, match="nobody need be told"):
        draft(loaded, notices, same, ("en",))
    assert next_version.VERSION == VERSION
