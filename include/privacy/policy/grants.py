"""Least privilege, generated from the data map: SQL grants, an IAM policy, a Cloud Storage role."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.data_map import DatabaseMap, Table
from include.privacy.policy.live_prefixes import mapped_folders
from include.privacy.policy.notices import Acceptances
from include.privacy.policy.objection import RESTRICTIONS, SUPPRESSED
from include.privacy.policy.policy import Purpose, RecordAgeRule, Rule
from include.privacy.policy.purpose_views import PurposeView, purpose_views

#: Our schema in each database: work tables and progress.
WORK_SCHEMA = "privacy_work"

_SLOTS = 4  # half of the executor's slots: one busy store leaves room for the others

# docs/INTEGRATION.md: requests come in and answers go out through these tables of the root store.
_INTEGRATION = {"privacy_inbox": {"SELECT", "UPDATE"}, "privacy_outbox": {"SELECT", "INSERT"}}
# Who is restricted is written where they are: in every database that has the tables.
_EFFECTS = {name: {"SELECT", "INSERT", "DELETE"} for name in (RESTRICTIONS, SUPPRESSED)}


def database_grants(
    db: DatabaseMap,
    rules: Iterable[Rule] = (),
    role: str = "privacy_dags",
    purposes: Mapping[str, Purpose] | None = None,
    reads: Mapping[str, Collection[str]] | None = None,
    acceptances: Acceptances | None = None,
) -> str:
    """SQL that an administrator runs in this database: what the DAGs need of it, and nothing else.

    ``acceptances``: where it is recorded who accepted which version (P8.2).

    With ``purposes`` also the roles of the platform's jobs, and the schemas for their views, which
    belong to ``role``: ``python -m include.privacy migrate`` keeps the views as the map says. ``reads``:
    columns by table that audits read, where the role would not see them otherwise.
    """
    who, schema = _quoted(role), _quoted(db.schema_)
    views = purpose_views(db, purposes or {})
    lines = [
        f"-- {db.store}: run as an administrator in this database.",
        "-- Plans are counted in a temporary table.",
        "DO $$ BEGIN EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', "
        f"current_database(), {_literal(role)}); END $$;",
        f"CREATE SCHEMA IF NOT EXISTS {_quoted(WORK_SCHEMA)} AUTHORIZATION {who};",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {who};",
        f"GRANT USAGE ON SCHEMA {schema} TO {who};",
    ]
    aged = {r.table for r in rules if isinstance(r, RecordAgeRule) and r.store == db.store}
    for name, table in db.tables.items():
        target = f"{schema}.{_quoted(name)}"
        if table.kind == "materialised_view":
            lines += [
                "-- PostgreSQL 17 or newer; before, only the view's owner may refresh it.",
                f"GRANT SELECT, MAINTAIN ON {target} TO {who};",
            ]
            continue
        wanted = _privileges(db, name, table, aged, views, acceptances)
        if (seen := (reads or {}).get(name)) and "SELECT" not in wanted:
            names = ", ".join(_quoted(column) for column in sorted(seen))
            lines.append(f"GRANT SELECT ({names}) ON {target} TO {who};")
        if wanted:
            lines.append(f"GRANT {', '.join(wanted)} ON {target} TO {who};")
            if (columns := _corrected(table)) and "UPDATE" not in wanted:
                lines.append(f"GRANT UPDATE ({', '.join(columns)}) ON {target} TO {who};")
            if "INSERT" in wanted and name in _INTEGRATION:
                lines.append(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {who};")
        elif looked_at := ", ".join(_quoted(c) for c, column in table.columns.items() if not column.personal):
            # audit_data_map samples what is not personal, to see that it is so; what is, it never reads.
            lines.append(f"GRANT SELECT ({looked_at}) ON {target} TO {who};")
    if aged:
        names = ", ".join(sorted(aged))
        lines.append(
            f"-- To drop whole partitions of {names} instead of deleting rows, the role must own them."
        )
    lines += _reader_lines(views, who)
    return "\n".join(lines) + "\n"


def _reader_lines(views: Sequence[PurposeView], who: str) -> list[str]:
    """The roles of the platform's jobs, made where they are missing, and the schemas of their views."""
    lines: list[str] = []
    for schema, reader in dict.fromkeys((view.schema, view.reader) for view in views):
        lines += [
            f"-- Jobs that read as {reader} see the views in {schema} and no table. Give the role a login.",
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {_literal(reader)}) "
            f"THEN CREATE ROLE {_quoted(reader)} NOLOGIN; END IF; "
            "EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', "
            f"current_database(), {_literal(reader)}); END $$;",
            f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)} AUTHORIZATION {who};",
        ]
    return lines


# Who has access, where copies go, how it encrypts: for audit_recipients and audit_controls.
_S3_AUDIT = (
    "s3:GetBucketAcl",
    "s3:GetBucketLocation",
    "s3:GetBucketLogging",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketWebsite",
    "s3:GetEncryptionConfiguration",
    "s3:GetInventoryConfiguration",
    "s3:GetReplicationConfiguration",
)

DOCUMENTS = {"s3": "IAM policy", "gcs": "Cloud Storage roles"}
"""What the grants of a kind of bucket are called."""


def s3_policy(bucket: BucketMap) -> dict[str, Any]:
    """An IAM policy document for one S3 bucket: the mapped prefixes only."""
    arn = f"arn:aws:s3:::{bucket.bucket}"
    folders = mapped_folders(bucket)
    configuration = [
        "s3:GetBucketVersioning",
        "s3:GetLifecycleConfiguration",
        "s3:GetBucketObjectLockConfiguration",
    ]
    if any(a.lifecycle == "manage" for a in bucket.aged):
        configuration.append("s3:PutLifecycleConfiguration")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ListMappedPrefixes",
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:ListBucketVersions"],
                "Resource": arn,
                # What lies above them is listed by folder, to notice a prefix that the map does not know.
                "Condition": {"StringLike": {"s3:prefix": [*_above(folders), *(f"{f}*" for f in folders)]}},
            },
            {
                "Sid": "ReadConfiguration",
                "Effect": "Allow",
                "Action": [*configuration, *_S3_AUDIT, "s3:ListBucketMultipartUploads"],
                "Resource": arn,
            },
            {
                "Sid": "ExpireMappedObjects",
                "Effect": "Allow",
                "Action": [
                    "s3:GetObject",
                    "s3:GetObjectVersion",
                    "s3:GetObjectRetention",
                    "s3:GetObjectLegalHold",
                    "s3:DeleteObject",
                    "s3:DeleteObjectVersion",
                    "s3:AbortMultipartUpload",
                ],
                "Resource": [f"{arn}/{f}*" for f in folders],
            },
            *_writing(bucket, arn),
        ],
    }


def _writing(bucket: BucketMap, arn: str) -> list[dict[str, Any]]:
    """Archives are the only objects we write; their links are signed by the same role."""
    if not bucket.archives:
        return []
    return [
        {
            "Sid": "WriteArchives",
            "Effect": "Allow",
            "Action": ["s3:PutObject"],
            "Resource": [f"{arn}/{a.prefix}*" for a in bucket.archives],
        },
        {
            "Sid": "EncryptArchives",
            "Effect": "Allow",
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
            # The key itself is in the connection; its policy may narrow this further.
            "Resource": "*",
            "Condition": {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}},
        },
    ]


def gcs_role(bucket: BucketMap) -> dict[str, Any]:
    """Two custom roles and their bindings for one Cloud Storage bucket.

    Listing is a permission on the bucket and cannot be narrowed to a prefix; reading and deleting
    are bound with a condition on the object's name.
    """
    on_bucket = [
        "storage.buckets.get",
        "storage.buckets.getIamPolicy",
        "storage.objects.list",
        "storage.multipartUploads.list",
    ]
    if any(b.lifecycle == "manage" for b in bucket.backups):
        on_bucket.append("storage.buckets.update")
    start = f"projects/_/buckets/{bucket.bucket}/objects/"
    condition = " || ".join(f'resource.name.startsWith("{start}{f}")' for f in mapped_folders(bucket))
    return {
        "bucket": bucket.bucket,
        "roles": {
            "privacyBucketReader": {"includedPermissions": on_bucket},
            "privacyObjectExpirer": {
                "includedPermissions": [
                    "storage.objects.get",
                    "storage.objects.delete",
                    "storage.multipartUploads.abort",
                ]
            },
        },
        "bindings": [
            {"role": "privacyBucketReader"},
            {
                "role": "privacyObjectExpirer",
                "condition": {"title": "mapped prefixes", "expression": condition},
            },
        ],
    }


def pools(stores: Iterable[DatabaseMap | BucketMap], work: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """One Airflow pool per store and per kind of ``work``, as ``airflow pools import`` reads them.

    A pool keeps all runs together from opening more sessions to a store than it can bear.
    """
    by_store = {s.store: s.max_shards if isinstance(s, DatabaseMap) else _SLOTS for s in stores}
    return {
        name: {
            "slots": slots,
            "description": f"At most this many tasks for {name} at once",
            "include_deferred": False,
        }
        for name, slots in {**by_store, **dict.fromkeys(work, _SLOTS)}.items()
    }


def _privileges(
    db: DatabaseMap,
    name: str,
    table: Table,
    aged: set[str],
    views: Sequence[PurposeView],
    acceptances: Acceptances | None,
) -> list[str]:
    wanted: set[str] = set(_EFFECTS.get(name, ()))
    if any(view.table == name for view in views):
        wanted.add("SELECT")  # a view reads with the rights of its owner
    for subject in table.subjects.values():
        wanted.add("SELECT")
        if subject.erasure.delete:
            wanted.add("DELETE")
        if subject.erasure.anonymise:
            wanted.add("UPDATE")
    if name in aged:
        wanted |= {"SELECT", "DELETE"}
    if acceptances is not None and (db.store, name) == (acceptances.use.store, acceptances.use.table):
        wanted.add("SELECT")
    if db.root is not None:
        if acceptances is not None and name in (acceptances.documents, acceptances.table):
            wanted |= {"SELECT", "INSERT"}
        wanted |= _INTEGRATION.get(name, set())
        if name == db.root.table:
            wanted.add("UPDATE")
    return [p for p in ("SELECT", "INSERT", "UPDATE", "DELETE") if p in wanted]


def _corrected(table: Table) -> list[str]:
    """The quoted columns of a table that a person may have corrected."""
    return [_quoted(name) for name, column in table.columns.items() if column.rectify]


def _above(folders: Iterable[str]) -> list[str]:
    """The folders that contain mapped ones, the bucket itself first."""
    return sorted(
        {"/".join(f.split("/")[:depth]) + "/" * bool(depth) for f in folders for depth in range(f.count("/"))}
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
