"""What the promise report says of each promise, and its pictures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from include.privacy.evidence.charts import Bar, columns, spans
from include.privacy.evidence.promises import BY_HAND, numbers, promise_of, promises, run_kinds
from include.privacy.ledger.report_records import BreachFacts, LastRun
from include.privacy.policy.loading import ROOT, load_config
from include.privacy.policy.promises import PROMISES, keepers

AS_OF = datetime(2026, 11, 25, 5, tzinfo=UTC)
POLICY = load_config(ROOT / "config").policy


def reported(
    runs: dict[str, LastRun], breaches: list[BreachFacts] | None = None
) -> dict[str, dict[str, object]]:
    found = promises(POLICY, runs, {"hold_placed": (AS_OF, 3)}, breaches or [], AS_OF)
    return {each["id"]: each for each in found}


def test_every_promise_is_in_the_report_and_silence_is_said() -> None:
    found = reported({})
    assert tuple(found) == PROMISES
    assert found["P4.3"]["no_evidence_since"] == "never"
    assert found["P4.4"]["no_evidence_since"] is None, "a legal hold was placed"


def test_a_rule_has_the_figures_of_its_last_run_and_old_evidence_is_old() -> None:
    figures = {"matched": 4, "overdue": 0, "promise": "P4.3", "stores": {"backups_s3": {"removed": 4}}}
    summary = {"rules": {"backups_s3_accounts": figures}}
    day, week = (AS_OF - timedelta(days=n) for n in (1, 7))
    fresh = reported({"backup_retention": LastRun(day, day, summary)})["P4.3"]
    kept = {k["name"]: k for k in fresh["kept_by"]}  # type: ignore[attr-defined]
    assert kept["backups_s3_accounts"]["figures"] == {"matched": 4, "overdue": 0}
    assert kept["backups_s3_practice"]["last"] is None
    assert fresh["no_evidence_since"] is None
    old = reported({"backup_retention": LastRun(week, week, summary)})["P4.3"]
    assert old["no_evidence_since"] == week.isoformat()


def test_a_breach_is_shown_with_the_promise_that_it_broke() -> None:
    breaches = [
        BreachFacts("deleted_account_purge", "accounts", 2, AS_OF, None),
        BreachFacts("P3.2 public_bucket", "user_content", 1, AS_OF, AS_OF),
        BreachFacts("second_probe", "practice", 1, AS_OF, None),
    ]
    found = reported({}, breaches)
    assert [b["store"] for b in found["P4.2"]["open"]] == ["accounts"]  # type: ignore[attr-defined]
    assert found["P3.2"]["open"] == [] and len(found["P3.2"]["resolved"]) == 1  # type: ignore[arg-type]
    assert [b["store"] for b in found["P6.3"]["open"]] == ["practice"]  # type: ignore[attr-defined]
    assert promise_of("evidence_log", {}) is None


def test_whatever_keeps_a_promise_leaves_evidence_that_the_report_knows() -> None:
    rules = {rule.id for rule in POLICY.rules}
    dags = {k.name for p in POLICY.promises.values() for k in keepers(p, rules) if k.kind == "dag"}
    assert dags - run_kinds().keys() - BY_HAND.keys() == set()


def test_only_counts_are_taken_from_a_summary() -> None:
    summary = {
        "as_of": "2026",
        "dry_run": True,
        "requests": {"completed": 2, "x": {"y": 1}},
        "n": 3,
        "red": ["a"],
    }
    assert numbers(summary) == {"requests: completed": 2, "n": 3}


@pytest.mark.parametrize(
    "picture",
    [
        spans(
            "Age <of> backups", "Two & more", [Bar("a<b", 1, 40), Bar("late", 3, 200, late=True)], 180, "days"
        ),
        spans("Nothing", "none", [Bar("empty", 0, 0)], 0, "days"),
        columns("Requests", "as 'they' are", [("late", 1, True), ("0", 0, False), ("1", 12, False)], "days"),
        columns("No requests", "none", [], "days"),
    ],
)
def test_a_picture_is_well_formed_stays_inside_and_can_be_read_aloud(picture: str) -> None:
    root = ElementTree.fromstring(picture)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert root.attrib["role"] == "img"
    title, description = list(root)[:2]
    assert root.attrib["aria-labelledby"].split() == [title.attrib["id"], description.attrib["id"]]
    assert title.text and description.text
    for shape in root.iter("rect"):
        x, y, w, h = (float(shape.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
    assert "script" not in picture


def test_what_is_late_differs_by_more_than_colour() -> None:
    [early, late] = ElementTree.fromstring(
        spans("t", "d", [Bar("a", 0, 10), Bar("b", 0, 200, late=True)], 180, "days")
    ).iter("rect")
    assert "stroke" not in early.attrib and "stroke" in late.attrib
