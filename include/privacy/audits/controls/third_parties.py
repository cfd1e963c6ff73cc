"""Whether somebody else has looked at our security within the interval that we set ourselves (P7.4)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from include.privacy.audits.controls.verdicts import Judgement, Probe, broken, holds
from include.privacy.policy.controls import ThirdPartyAudits
from include.privacy.runtime import runtime

CODE = "third_party_audit"


def probes(as_of: datetime) -> Iterator[Probe]:
    """One: the last audit against the interval."""
    yield Probe(CODE, "company", lambda: judge(runtime().config().controls.third_party_audits, as_of))


def judge(audits: ThirdPartyAudits, as_of: datetime) -> Judgement:
    """An audit that is still to come counts for nothing."""
    done = [each for each in audits.audits if each.day <= as_of.date()]
    if not done:
        return broken("no audit is on record", "commission one, and write it into config/controls.yaml")
    last = max(done, key=lambda each: each.day)
    due = last.day + timedelta(days=audits.interval_days)
    facts = {
        "last": last.day.isoformat(),
        "what": last.what,
        "by": last.by,
        "report_sha256": last.report_sha256,
        "due": due.isoformat(),
    }
    if as_of.date() > due:
        return broken(
            f"the last audit was on {last.day}, the next was due on {due}", "commission it", **facts
        )
    return holds(f"the last audit was on {last.day}; the next is due on {due}", **facts)
