"""What another version of the policy changes for people."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from include.privacy.policy.comparing import changes
from include.privacy.policy.loading import ROOT
from include.privacy.policy.policy import Policy

SHIPPED: dict[str, Any] = yaml.safe_load((ROOT / "config" / "policy.yaml").read_text())


def told(change: Any) -> list[str]:
    other = yaml.safe_load(yaml.safe_dump(SHIPPED))
    change(other)
    return [str(c) for c in changes(Policy.model_validate(SHIPPED), Policy.model_validate(other))]


def rule(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(r for r in found["rules"] if r["id"] == name)


def test_the_same_policy_changes_nothing() -> None:
    assert told(lambda other: other.update(version="2027-01")) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda o: rule(o, "old_access_log").update(target_days=60),
         "weaker: rule old_access_log acts after 60 days instead of 45"),
        (lambda o: rule(o, "old_access_log").update(limit_days=50),
         "stricter: rule old_access_log counts as a breach after 50 days instead of 90"),
        (lambda o: rule(o, "old_access_log")["guard"].update(max_share=0.9),
         "weaker: rule old_access_log: guard max_share is 0.9 instead of 0.6"),
        (lambda o: rule(o, "old_access_log").update(clock="seen_at"),
         "other: rule old_access_log acts on something else"),
        (lambda o: o["rules"].remove(rule(o, "old_access_log")), "weaker: rule old_access_log is gone"),
        (lambda o: o["promises"]["P3.2"].update(enforced_by={"outside": "the officer"}),
         "weaker: P3.2 is no longer kept by dag audit_recipients"),
        (lambda o: o["purposes"]["essential.service.security"].update(objection="none"),
         "weaker: an objection to essential.service.security means none instead of weigh"),
        (lambda o: o["purposes"].update(
            {"analytics.ads": {"title": "Advertising", "legal_basis": "consent", "objection": "stop"}}),
         "weaker: data are used for a further purpose: analytics.ads"),
        (lambda o: o["recipients"].append({**o["recipients"][0], "name": "Somebody"}),
         "weaker: Somebody gets data (P5.1)"),
        (lambda o: o.update(request_records_days=2000),
         "weaker: request_records_days is 2000 instead of 1096"),
        (lambda o: o["verification"].update(token_valid_hours=24),
         "stricter: verification.token_valid_hours is 24 instead of 72"),
        (lambda o: o["opendsr"].update(callback_hosts=["x.example"]),
         "weaker: opendsr.callback_hosts has x.example too"),
    ],
)  # fmt: skip
def test_each_change_is_told_with_whether_people_are_worse_off(change: Any, expected: str) -> None:
    assert expected in told(change)


def test_what_is_weaker_comes_first() -> None:
    def both(other: dict[str, Any]) -> None:
        rule(other, "old_access_log").update(target_days=30)
        rule(other, "request_archives").update(target_days=14)

    assert [line.partition(":")[0] for line in told(both)] == ["weaker", "stricter"]
