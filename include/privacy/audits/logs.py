"""How long log lines are kept (P2.4), and where they are copied (P3.2)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.privacy.audits.findings import Finding
from include.privacy.policy.clouds import Logs
from include.privacy.policy.recipients import Recipients

if TYPE_CHECKING:
    from include.privacy.stores.log_retention import LogService, LogStore

log = logging.getLogger(__name__)

CODES = ("logs_kept_too_long", "unknown_log_destination")


def kept_too_long(service: LogService, logs: Logs) -> list[LogStore]:
    """The groups or buckets that keep lines longer than they may, or for ever."""
    return [
        each
        for each in service.log_stores(logs.prefix)
        if each.name not in logs.exempt and (each.days is None or each.days > logs.max_days)
    ]


def mend(service: LogService, logs: Logs, long: list[LogStore]) -> list[LogStore]:
    """Shorten those where the map says ``manage``; returns what nobody could, or what the cloud refused."""
    from include.privacy.stores.aws import CloudError

    if logs.mode != "manage":
        return long
    left = []
    for each in long:
        try:
            if each.locked:
                left.append(each)
            else:
                service.shorten(each, logs.max_days)
        except CloudError as error:
            log.error("%s: %s could not be shortened: %s", logs.name, each.name, error)
            left.append(each)
    return left


def judge(left: list[LogStore], logs: Logs) -> Iterator[Finding]:
    """What still keeps lines too long."""
    for each in left:
        period = "for ever" if each.days is None else f"{each.days} days"
        fix = f"keep them {logs.max_days} days at most, or say under exempt in config/clouds.yaml why not"
        if each.locked:
            fix = "it is locked, so nobody can shorten it: send logs elsewhere, and exempt it with the reason"
        yield Finding("logs_kept_too_long", f"{each.name} keeps log lines {period}", fix)


def destinations(service: LogService, logs: Logs, recipients: Recipients) -> Iterator[Finding]:
    """Copies of log lines that go where nobody said they may."""
    aws = logs.kind == "cloudwatch"
    allowed = recipients.aws.log_destinations if aws else recipients.google.sinks
    where = "aws.log_destinations" if aws else "google.sinks"
    for what, target in service.destinations(logs.prefix):
        if target not in allowed:
            yield Finding(
                "unknown_log_destination",
                f"{what} copies log lines to {target}",
                f"delete it, or add the destination to config/recipients.yaml ({where})",
            )
