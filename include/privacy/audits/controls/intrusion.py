"""Whether intrusion detection is on and alive: GuardDuty, CloudTrail, Google Cloud's audit logs (P7.5).

Who is called when it finds something is not for a machine to see: policy.yaml names who answers for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from include.privacy import cloud_clients
from include.privacy.audits.controls.verdicts import Judgement, Probe, broken, holds
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.stores.detection import Trail


def probes(as_of: datetime) -> Iterator[Probe]:
    """One for each connection of each service."""
    mapped = runtime().config().controls.intrusion
    silence = timedelta(hours=mapped.max_silence_hours)
    for conn_id in mapped.guardduty:
        yield Probe("guardduty", conn_id, partial(_guardduty, conn_id))
    for conn_id in mapped.cloudtrail:
        yield Probe("cloudtrail", conn_id, partial(_cloudtrail, conn_id, as_of, silence))
    for conn_id in mapped.google:
        yield Probe("google_audit_logs", conn_id, partial(_google, conn_id, as_of, silence))


def judge_detectors(enabled: Sequence[bool]) -> Judgement:
    """One for each detector."""
    if not any(enabled):
        what = "every detector is suspended" if enabled else "there is no detector"
        return broken(what, "enable GuardDuty in this region", detectors=len(enabled))
    return holds("a detector is enabled", detectors=len(enabled), enabled=sum(enabled))


def judge_trails(found: Sequence[Trail], as_of: datetime, silence: timedelta) -> Judgement:
    """One trail that covers every region, logs, and has delivered lately, is enough."""
    newest = max((t.delivered for t in found if t.delivered), default=None)
    facts = {
        "trails": len(found),
        "logging": sum(t.logging for t in found),
        "last_delivery": newest.isoformat() if newest else None,
    }
    wide = [t for t in found if t.logging and t.every_region]
    if not wide:
        what = "no trail of every region is logging" if found else "there is no trail"
        return broken(what, "start a trail of every region", **facts)
    alive = [t for t in wide if t.delivered and as_of - t.delivered <= silence and not t.failing]
    if not alive:
        return broken(
            f"nothing was delivered in the last {_hours(silence)} hours",
            "look at the trail's bucket and its policy: CloudTrail cannot write there",
            **facts,
        )
    return holds(f"a trail of every region delivered in the last {_hours(silence)} hours", **facts)


def judge_entries(last: Mapping[str, datetime | None], as_of: datetime, silence: timedelta) -> Judgement:
    """``last``: log → when it got its last entry. One of them is enough: administrators rest now and then."""
    facts = {name: moment.isoformat() if moment else None for name, moment in last.items()}
    if not any(moment and as_of - moment <= silence for moment in last.values()):
        return broken(
            f"no entry in the last {_hours(silence)} hours",
            "switch data access logs on for the services in use, and look for exclusions of the log router",
            **facts,
        )
    return holds(f"entries of the last {_hours(silence)} hours are there", **facts)


def _guardduty(conn_id: str) -> Judgement:
    from include.privacy.stores.detection import detectors

    return judge_detectors(detectors(runtime().aws("guardduty", conn_id)))


def _cloudtrail(conn_id: str, as_of: datetime, silence: timedelta) -> Judgement:
    from include.privacy.stores.detection import trails

    client = runtime().aws("cloudtrail", conn_id)
    return judge_trails(list(trails(client)), as_of, silence)


def _google(conn_id: str, as_of: datetime, silence: timedelta) -> Judgement:
    from include.privacy.stores.detection import AUDIT_LOGS, last_audit_entry

    info = runtime().connection(conn_id)
    api, project = cloud_clients.google(info), cloud_clients.project(info)
    return judge_entries({name: last_audit_entry(api, project, name) for name in AUDIT_LOGS}, as_of, silence)


def _hours(span: timedelta) -> int:
    return round(span.total_seconds() / 3600)
