"""Was it done? Asked of the stores themselves, with nothing of the engine and nothing of the data map.

A baseline is taken before the DAGs run: who has to go, and what everybody else has. Afterwards every
statement here must hold. The table lists are written by hand on purpose: a table missing in the data
map would otherwise be missing here too, and then nobody would notice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from psycopg import sql

from include.sandbox.platform.people import Marker

PURGE = timedelta(days=30)
"""Deleted accounts are purged 30 days after ``deleted_at`` (the target of config/policy.yaml)."""
SERVICE_END = timedelta(days=30)
TOKENS = timedelta(days=7)
ACCESS_LOG = timedelta(days=45)
BACKUP_TARGET = timedelta(days=170)
BACKUP_LIMIT = timedelta(days=180)

ACCOUNT_COLUMNS = (
    ("accounts", "id"), ("accounts", "referred_by"), ("credentials", "account_id"),
    ("former_emails", "account_id"),
    ("gateway_customers", "account_id"), ("subscriptions", "account_id"), ("invoices", "account_id"),
    ("consents", "account_id"), ("policy_acceptances", "account_id"), ("support_tickets", "account_id"),
    ("verification_tokens", "account_id"), ("account_audit", "account_id"), ("privacy_inbox", "account_id"),
    ("privacy_outbox", "account_id"), ("privacy_restrictions", "account_id"),
)  # fmt: skip
EMAIL_COLUMNS = (
    ("accounts", "email"), ("former_emails", "email"), ("invoices", "billing_email"),
    ("support_tickets", "requester_email"), ("newsletter_subscribers", "email"),
    ("verification_tokens", "sent_to"), ("account_audit", "old_email"),
)  # fmt: skip
PRACTICE_COLUMNS = (
    ("learners", "account_id"), ("learners", "mentor_id"), ("attempts", "learner_id"),
    ("progress", "learner_id"),
    ("assessments", "learner_id"), ("recommendations", "learner_id"), ("devices", "learner_id"),
    ("sessions", "learner_id"), ("mentor_reviews", "learner_id"), ("mentor_reviews", "mentor_id"),
    ("comments", "author_id"), ("comment_reactions", "learner_id"), ("exercise_ratings", "learner_id"),
    ("practice_plans", "learner_id"), ("plan_revisions", "author_id"), ("invitations", "inviter_id"),
    ("access_log", "account_id"), ("leaderboard", "account_id"), ("privacy_restrictions", "account_id"),
)  # fmt: skip

ATTEMPTS_OF = "SELECT count(*) FROM attempts WHERE learner_id = ANY(%s)"


@dataclass(frozen=True)
class Check:
    """One statement about the stores and whether it holds."""

    promise: str
    statement: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class Stores:
    """How to reach the stores, as their owners (not as the engine)."""

    accounts_dsn: str
    practice_dsn: str
    s3: Any
    gcs: Any
    content_bucket: str = "practice-engine-user-content"
    backup_bucket: str = "practice-engine-backups"
    backup_copy: str = "practice-engine-backups-copy"
    rds: Any = None
    cloud_sql: str = ""


@dataclass(frozen=True)
class Baseline:
    """What the stores held before, and what has to be gone afterwards."""

    as_of: datetime
    due: frozenset[int]
    requested: frozenset[int]
    held: frozenset[int]
    emails: frozenset[str]
    accounts: frozenset[int]
    rows: dict[str, int]
    own_attempts: int
    held_attempts: int
    invoices: int
    content: dict[str, int]
    archives: dict[str, dict[str, datetime]] = field(default_factory=dict)
    snapshots: dict[str, dict[str, datetime]] = field(default_factory=dict)

    @property
    def erased(self) -> frozenset[int]:
        """Everyone who has to be gone."""
        return self.due | self.requested


def take_baseline(
    stores: Stores, requested: Iterable[int], as_of: datetime, held: Iterable[int] = ()
) -> Baseline:
    """Look at the stores before anything is done. ``as_of`` is the instant the rules will be applied at."""
    wanted, on_hold = frozenset(requested), frozenset(held)
    with psycopg.connect(stores.accounts_dsn) as accounts, psycopg.connect(stores.practice_dsn) as practice:
        due = frozenset(
            row[0]
            for row in accounts.execute(
                "SELECT id FROM accounts WHERE"
                " coalesce(deleted_at, service_ended_at + %(end)s) <= %(as_of)s::timestamptz - %(purge)s",
                {"end": SERVICE_END, "purge": PURGE, "as_of": as_of},
            )
        )
        due -= on_hold
        erased = list(due | wanted)
        emails = frozenset(
            row[0]
            for row in accounts.execute(
                "SELECT email FROM accounts WHERE id = ANY(%(e)s) UNION"
                " SELECT email FROM former_emails WHERE account_id = ANY(%(e)s)",
                {"e": erased},
            )
        )
        return Baseline(
            as_of=as_of,
            due=due,
            requested=wanted,
            held=on_hold,
            emails=emails,
            accounts=frozenset(row[0] for row in accounts.execute("SELECT id FROM accounts")),
            rows={
                "accounts": _one(accounts, "SELECT count(*) FROM accounts"),
                "attempts": _one(practice, "SELECT count(*) FROM attempts"),
                "learners": _one(practice, "SELECT count(*) FROM learners"),
            },
            own_attempts=_one(practice, ATTEMPTS_OF, [erased]),
            held_attempts=_one(practice, ATTEMPTS_OF, [list(on_hold)]),
            invoices=_one(accounts, "SELECT count(*) FROM invoices"),
            content=_content(stores),
            archives=_archives(stores),
            snapshots=_snapshots(stores),
        )


def check_people(stores: Stores, before: Baseline) -> list[Check]:
    """Nobody who had to go is left, and everybody else is."""
    erased, emails = list(before.erased), list(before.emails)
    checks = []
    with psycopg.connect(stores.accounts_dsn) as accounts, psycopg.connect(stores.practice_dsn) as practice:
        left = _count_each(accounts, ACCOUNT_COLUMNS, erased) | _count_each(accounts, EMAIL_COLUMNS, emails)
        checks.append(
            _none_left("P4.2 P6.3", f"accounts database: nothing names the {len(erased)} erased", left)
        )
        left = _count_each(practice, PRACTICE_COLUMNS, erased)
        left["invitations.invitee_email"] = _one(
            practice, "SELECT count(*) FROM invitations WHERE invitee_email = ANY(%s)", [emails]
        )
        left["learners.settings"] = _one(
            practice,
            "SELECT count(*) FROM learners WHERE settings->>'notification_email' = ANY(%s)",
            [emails],
        )
        checks.append(
            _none_left("P4.2 P6.3", f"practice database: nothing names the {len(erased)} erased", left)
        )

        alive = frozenset(row[0] for row in accounts.execute("SELECT id FROM accounts"))
        wrong = (before.accounts - before.erased) ^ alive
        checks.append(
            Check(
                "P4.1", f"the other {len(alive):,} people still have their account", not wrong, _people(wrong)
            )
        )
        attempts = _one(practice, "SELECT count(*) FROM attempts")
        expected = before.rows["attempts"] - before.own_attempts
        checks.append(
            Check(
                "P4.1",
                f"the others' {expected:,} attempts are all there",
                attempts == expected,
                f"{attempts:,}",
            )
        )
        if before.held:
            accounts_left = _one(
                accounts, "SELECT count(*) FROM accounts WHERE id = ANY(%s)", [list(before.held)]
            )
            attempts_left = _one(practice, ATTEMPTS_OF, [list(before.held)])
            ok = (accounts_left, attempts_left) == (len(before.held), before.held_attempts)
            statement = f"the person on legal hold is still there, with {before.held_attempts} attempts"
            checks.append(Check("P4.4", statement, ok, f"{accounts_left} accounts, {attempts_left} attempts"))
        invoices = _one(accounts, "SELECT count(*) FROM invoices")
        checks.append(
            Check(
                "P4.4",
                f"all {before.invoices:,} invoices are kept",
                invoices == before.invoices,
                f"{invoices:,}",
            )
        )
        late = _one(
            accounts,
            "SELECT count(*) FROM accounts WHERE deleted_at IS NULL AND service_ended_at <= %s",
            [before.as_of - SERVICE_END],
        )
        checks.append(
            Check("P4.1", "no account is undeleted 30 days after its service ended", late == 0, f"{late}")
        )
        old = _one(
            accounts,
            "SELECT count(*) FROM verification_tokens WHERE created_at <= %s",
            [before.as_of - TOKENS],
        )
        checks.append(Check("P2.4", "no verification token is older than 7 days", old == 0, f"{old}"))
        old = _one(
            practice,
            "SELECT count(*) FROM access_log WHERE occurred_at <= %s",
            [before.as_of - ACCESS_LOG],
        )
        checks.append(Check("P2.4", "no entry of the access log is older than 45 days", old == 0, f"{old}"))
    return checks


def check_content(stores: Stores, before: Baseline) -> list[Check]:
    """No version and no delete marker of an erased person's uploads; everybody else's are whole."""
    now = _content(stores)
    gone = {str(key) for key in before.erased}
    left = {key: n for key, n in now.items() if key in gone}
    others = {key: n for key, n in before.content.items() if key not in gone}
    had = sum(n for key, n in before.content.items() if key in gone)
    return [
        Check(
            "P6.3",
            f"uploads: all {had} versions of the erased are gone from S3",
            not left,
            f"{sum(left.values())}",
        ),
        Check(
            "P6.3",
            f"uploads: the others' {sum(others.values()):,} versions are untouched",
            {key: n for key, n in now.items() if key not in gone} == others,
        ),
    ]


def check_backups(stores: Stores, before: Baseline) -> list[Check]:
    """No archive past its target is readable, no younger one was touched, none outlives its 180 days."""
    now = _archives(stores)
    checks = []
    for place, archives in before.archives.items():
        cutoff = before.as_of - BACKUP_TARGET
        old = {name for name, captured in archives.items() if captured <= cutoff}
        young = set(archives) - old
        left, lost = old & set(now[place]), young - set(now[place])
        checks.append(
            Check(
                "P4.3",
                f"{place}: {len(old)} objects of archives past 170 days are gone",
                not left,
                f"{len(left)}",
            )
        )
        checks.append(
            Check("P4.3", f"{place}: {len(young)} younger ones are kept", not lost, f"{len(lost)} lost")
        )
    late = [
        blob.name
        for blob in stores.gcs.list_blobs(stores.backup_copy, prefix="backups/", soft_deleted=True)
        if blob.hard_delete_time
        and (captured := captured_at(blob.name) or _stated(blob.metadata))
        and blob.hard_delete_time > captured + BACKUP_LIMIT
    ]
    checks.append(
        Check(
            "P4.3",
            "GCS: what can still be undeleted is gone for good before day 180",
            not late,
            f"{len(late)}",
        )
    )
    return checks


def check_snapshots(stores: Stores, before: Baseline) -> list[Check]:
    """No snapshot past its target is left in either cloud, and no younger one was touched."""
    now = _snapshots(stores)
    checks = []
    for place, snapshots in before.snapshots.items():
        old = {name for name, captured in snapshots.items() if captured <= before.as_of - BACKUP_TARGET}
        left, lost = old & set(now[place]), set(snapshots) - old - set(now[place])
        statement = (
            f"{place}: {len(old)} snapshots past 170 days are gone, {len(snapshots) - len(old)} are kept"
        )
        detail = f"{len(left)} left, {len(lost)} lost"
        checks.append(Check("P4.3", statement, bool(old) and not left and not lost, detail))
    return checks


def check_residue(dsns: Mapping[str, str], markers: Sequence[Marker]) -> list[Check]:
    """Nothing recognisable of two marked people in any row of any table of any database.

    Every row of every table is read as text, Airflow's own metadata included. One of them was due for
    the purge, the other asked for erasure.
    """
    needles = [re.escape(n) for m in markers for n in m.needles if not n.isdigit()]
    # Account ids are looked for as whole numbers.
    pattern = "|".join([*(rf"\m{m.account_id}\M" for m in markers), *needles])
    checks = []
    for name, dsn in dsns.items():
        found: dict[str, int] = {}
        with psycopg.connect(dsn) as conn:
            for schema, table in conn.execute(
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition"
                " AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
            ).fetchall():
                query = sql.SQL("SELECT count(*) FROM {} t WHERE t::text ~ %s").format(
                    sql.Identifier(schema, table)
                )
                if hits := _one(conn, query, [pattern]):
                    found[f"{schema}.{table}"] = hits
        names = "no name, address, IP, id or word of two marked people in any row"
        checks.append(_none_left("P4.2 P6.3", f"database {name}: {names}", found))
    return checks


def captured_at(key: str) -> datetime | None:
    """When the data in an archive were captured, from its folder's name."""
    match = re.search(r"/(\d{4}-\d{2}-\d{2}T\d{6}Z)/", key)
    return datetime.strptime(match[1], "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC) if match else None


def _content(stores: Stores) -> dict[str, int]:
    """Versions and delete markers for each person's prefix."""
    counts: dict[str, int] = {}
    for page in stores.s3.get_paginator("list_object_versions").paginate(Bucket=stores.content_bucket):
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            person = item["Key"].split("/")[1] if item["Key"].startswith("user-content/") else item["Key"]
            counts[person] = counts.get(person, 0) + 1
    return counts


def _archives(stores: Stores) -> dict[str, dict[str, datetime]]:
    """``key@version`` → capture time of every readable backup object, for each of the two places."""
    s3: dict[str, datetime] = {}
    bucket = stores.backup_bucket
    for page in stores.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix="backups/"):
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            when = captured_at(item["Key"])
            if when is None and "ETag" in item:
                head = stores.s3.head_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
                when = _stated(head["Metadata"])
            s3[f"{item['Key']}@{item['VersionId']}"] = when or item["LastModified"]
    for page in stores.s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3[f"{upload['Key']}@{upload['UploadId']}"] = captured_at(upload["Key"]) or upload["Initiated"]
    gcs = {
        f"{blob.name}@{blob.generation}": captured_at(blob.name)
        or _stated(blob.metadata)
        or blob.time_created
        for blob in stores.gcs.list_blobs(stores.backup_copy, prefix="backups/", versions=True)
    }
    return {"S3 backups": s3, "GCS backups": gcs}


def _snapshots(stores: Stores) -> dict[str, dict[str, datetime]]:
    """Id → capture time of every snapshot, for each of the two clouds; nothing where there is none to ask."""
    found: dict[str, dict[str, datetime]] = {}
    if stores.rds is not None:
        found["RDS"] = {
            raw["DBSnapshotIdentifier"]: raw["OriginalSnapshotCreateTime"]
            for raw in stores.rds.describe_db_snapshots()["DBSnapshots"]
        }
    if stores.cloud_sql:
        runs = httpx.get(f"{stores.cloud_sql}/backupRuns", timeout=30).raise_for_status().json()["items"]
        found["Cloud SQL"] = {run["id"]: datetime.fromisoformat(run["startTime"]) for run in runs}
    return found


def _stated(metadata: dict[str, str] | None) -> datetime | None:
    stated = (metadata or {}).get("captured-at")
    return datetime.fromisoformat(stated) if stated else None


def _count_each(
    conn: psycopg.Connection[Any], columns: Sequence[tuple[str, str]], values: Sequence[Any]
) -> dict[str, int]:
    found = {}
    for table, column in columns:
        query = sql.SQL("SELECT count(*) FROM {} WHERE {} = ANY(%s)").format(
            sql.Identifier(table), sql.Identifier(column)
        )
        found[f"{table}.{column}"] = _one(conn, query, [values])
    return found


def _one(conn: psycopg.Connection[Any], query: Any, values: Sequence[Any] = ()) -> int:
    row = conn.execute(query, values or None).fetchone()
    return int(row[0]) if row else 0


def _none_left(promise: str, statement: str, found: dict[str, int]) -> Check:
    left = {name: n for name, n in found.items() if n}
    return Check(promise, statement, not left, ", ".join(f"{name}: {n}" for name, n in left.items()))


def _people(ids: frozenset[int]) -> str:
    return f"{len(ids)} differ" if ids else ""
