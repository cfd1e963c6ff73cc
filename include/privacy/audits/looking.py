"""The looks of an audit of recipients: one for each place from which data could leave."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol, TypedDict
from uuid import UUID

from include.privacy import cloud_clients
from include.privacy.audits import databases, gcs, logs, s3, snapshots
from include.privacy.audits.findings import PROMISE_OF, Finding, breach_rule
from include.privacy.policy.recipients import LEDGER as LEDGER_NAME
from include.privacy.policy.recipients import DatabaseRecipients
from include.privacy.runtime import LEDGER, runtime
from include.privacy.steps.runs import read_run

log = logging.getLogger(__name__)

PROCESSOR_CODES = ("processor_problem", "looks_personal")
SHOWN = 10
"""How many findings of one code a breach's note lists; the log has all."""


class Look(TypedDict):
    """One place to look at: what kind it is, and its name in ``config/``."""

    kind: str
    name: str


class LooksPersonal(Protocol):
    """What a scan finds where nothing personal may be: where, what kind, how many values; never a value."""

    site: str
    dimension: str
    pattern: str
    count: int


def list_looks() -> list[Look]:
    """Every bucket, database, set of RDS snapshots, set of logs and processor that is mapped."""
    config = runtime().config()
    found = [Look(kind=store.kind, name=store.store) for store in config.data_map.stores]
    found.append(Look(kind="postgres", name=LEDGER_NAME))
    found += [Look(kind="rds", name=s.store) for s in config.clouds.snapshots if s.kind == "rds"]
    found += [Look(kind="logs", name=each.name) for each in config.clouds.logs]
    found += [Look(kind="processor", name=name) for name in config.processors]
    return found


def look(ledger_run: str, kind: str, name: str) -> dict[str, int]:
    """Look at one place; returns how many findings there are, by code.

    Each code becomes a breach, and a code of which nothing is found any more ends its breach; a dry run
    records and mends nothing. Raises whatever keeps the place from being looked at: then its breaches
    stay as they are.
    """
    run = read_run(ledger_run)
    codes, find = _LOOKS[kind]
    by_code: dict[str, list[Finding]] = {code: [] for code in codes}
    for finding in find(name, run.as_of, run.dry_run):
        by_code[finding.code].append(finding)
        log.error("%s: %s: %s", name, finding.code, finding)
    for code, findings in by_code.items():
        if not run.dry_run:
            _record(ledger_run, name, breach_rule(_promise(kind, name, code), code), findings, run.as_of)
    counts = Counter({code: len(findings) for code, findings in by_code.items()})
    log.info("%s: %d findings", name, counts.total())
    return {code: count for code, count in counts.items() if count}


def promises_of(look: Look) -> dict[str, str]:
    """Code → promise of everything that a look may find."""
    return {code: _promise(look["kind"], look["name"], code) for code in _LOOKS[look["kind"]][0]}


def _record(ledger_run: str, name: str, rule: str, findings: list[Finding], as_of: datetime) -> None:
    ledger = runtime().ledger()
    if not findings:
        ledger.resolve_breaches(rule, name, as_of)
        return
    lines = [str(finding) for finding in findings[:SHOWN]]
    if len(findings) > SHOWN:
        lines.append(f"and {len(findings) - SHOWN} more, in the log of the task")
    ledger.record_breach(UUID(ledger_run), rule, name, len(findings), None, "; ".join(lines))


def _promise(kind: str, name: str, code: str) -> str:
    return runtime().config().processors[name].promise if kind == "processor" else PROMISE_OF[code]


def _s3(name: str, as_of: datetime, dry_run: bool) -> Iterable[Finding]:
    from include.privacy.policy.bucket_map import BucketMap
    from include.privacy.stores.s3_access import read_s3_access

    config = runtime().config()
    mapped = config.data_map[name]
    if not isinstance(mapped, BucketMap):
        raise TypeError(f"store {name!r} is no bucket")
    buckets = {s.bucket for s in config.data_map.stores if isinstance(s, BucketMap) and s.kind == "s3"}
    access = read_s3_access(cloud_clients.s3(runtime().connection(mapped.connection)), mapped.bucket)
    return s3.judge(access, buckets, config.recipients.aws)


def _gcs(name: str, as_of: datetime, dry_run: bool) -> Iterable[Finding]:
    from include.privacy.policy.bucket_map import BucketMap
    from include.privacy.stores.gcs_access import read_gcs_access

    config = runtime().config()
    mapped = config.data_map[name]
    if not isinstance(mapped, BucketMap):
        raise TypeError(f"store {name!r} is no bucket")
    client = cloud_clients.gcs(runtime().connection(mapped.connection))
    return gcs.judge(read_gcs_access(client, mapped.bucket), config.recipients.google)


def _postgres(name: str, as_of: datetime, dry_run: bool) -> Iterable[Finding]:
    from include.privacy.policy.data_map import DatabaseMap
    from include.privacy.stores.postgres.ways_out import read_ways_out

    config = runtime().config()
    connection = LEDGER
    if name != LEDGER_NAME:
        mapped = config.data_map[name]
        if not isinstance(mapped, DatabaseMap):
            raise TypeError(f"store {name!r} is no database")
        connection = mapped.connection
    allowed = config.recipients.postgres.get(name, DatabaseRecipients())
    return databases.judge(read_ways_out(runtime().dsn(connection)), name, allowed)


def _rds(name: str, as_of: datetime, dry_run: bool) -> Iterable[Finding]:
    from include.privacy.stores.rds import Rds

    config = runtime().config()
    service = Rds(cloud_clients.aws("rds", runtime().connection(config.clouds[name].connection)))
    return snapshots.judge(service, config.recipients.aws)


def _logs(name: str, as_of: datetime, dry_run: bool) -> Iterable[Finding]:
    config = runtime().config()
    mapped = next(each for each in config.clouds.logs if each.name == name)
    service = cloud_clients.log_service(mapped, runtime().connection(mapped.connection))
    left = logs.kept_too_long(service, mapped)
    if not dry_run:
        left = logs.mend(service, mapped, left)
    yield from logs.judge(left, mapped)
    yield from logs.destinations(service, mapped, config.recipients)


def _processor(name: str, as_of: datetime, dry_run: bool) -> Iterable[Finding]:
    """Keys, their scopes and features as far as the processor shows them; and what it looks at of its own.

    An adapter may have ``scan(as_of)``, which yields :class:`LooksPersonal`.
    """
    adapter = runtime().processor(name)
    for problem in adapter.preflight(as_of=as_of).problems:
        yield Finding("processor_problem", problem, f"put it right at {name}, then run this again")
    scan: Callable[[datetime], Iterable[LooksPersonal]] = getattr(adapter, "scan", lambda _: ())
    for found in scan(as_of):
        what = f"{found.count} values of {found.dimension} at {found.site} look like {found.pattern}"
        yield Finding("looks_personal", what, f"stop sending them to {name}, and have them deleted there")


_LOOKS: Mapping[str, tuple[tuple[str, ...], Callable[[str, datetime, bool], Iterable[Finding]]]] = {
    "s3": (s3.CODES, _s3),
    "gcs": (gcs.CODES, _gcs),
    "postgres": (databases.CODES, _postgres),
    "rds": (snapshots.CODES, _rds),
    "logs": (logs.CODES, _logs),
    "processor": (PROCESSOR_CODES, _processor),
}
