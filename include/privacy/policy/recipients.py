"""Models of ``config/recipients.yaml``: every way out that we know of. Whatever else is found is an alarm.

P3.2: personal data are never sold. That can be promised only by whoever knows where they go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated

from pydantic import Field

from include.privacy.policy.documents import Document
from include.privacy.policy.map_model import MapModel, Name
from include.privacy.policy.problems import Problem, suggestion

LEDGER = "ledger"
"""The name under which the ledger's own database is listed; it is no store of the data map."""

Account = Annotated[str, Field(pattern=r"^\d{12}$")]


class AwsRecipients(MapModel):
    """Who may reach our buckets, and where their content may be copied to.

    ``accounts``: ours among them. ``services``: service principals, such as ``logging.s3.amazonaws.com``.
    ``canonical_users``: for ACLs, besides the bucket's owner. ``conditions``: condition key → values that
    close a statement made for everybody (``aws:PrincipalOrgID: [o-…]``). ``buckets``: targets of replication,
    access logs and inventories, besides the buckets of the data map. ``log_destinations``: ARNs of
    subscription filters.
    """

    accounts: tuple[Account, ...] = ()
    services: tuple[str, ...] = ()
    canonical_users: tuple[str, ...] = ()
    conditions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    buckets: tuple[str, ...] = ()
    log_destinations: tuple[str, ...] = ()


class GoogleRecipients(MapModel):
    """``projects``: whose owners, editors and viewers are ours. ``principals``: as IAM writes them
    (``serviceAccount:…``, ``group:…``). ``sinks``: destinations of log sinks.
    """

    projects: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()


class DatabaseRecipients(MapModel):
    """What may let data out of one PostgreSQL database.

    ``roles``: who may log in. ``privileged``: which of them may read or write past every grant (superuser,
    replication, bypassing row security, files and programs of the server).
    """

    roles: tuple[Name, ...] = ()
    privileged: tuple[Name, ...] = ()
    publications: tuple[Name, ...] = ()
    subscriptions: tuple[Name, ...] = ()
    servers: tuple[Name, ...] = ()
    extensions: tuple[Name, ...] = ()
    slots: tuple[Name, ...] = ()


class Recipients(MapModel):
    """Everything of ``config/recipients.yaml``. ``postgres``: by store, and ``ledger`` for our own."""

    aws: AwsRecipients = AwsRecipients()
    google: GoogleRecipients = GoogleRecipients()
    postgres: dict[Name, DatabaseRecipients] = Field(default_factory=dict)


def recipient_problems(
    recipients: Recipients, document: Document, databases: Collection[str]
) -> Iterator[Problem]:
    """Databases without a list, lists without a database, and privileges of roles that may not log in."""
    for name in databases:
        if name not in recipients.postgres:
            yield document.problem(
                ("postgres",),
                f"database {name} has no list, so everything in it is an alarm",
                f"add `{name}: {{roles: […]}}`",
            )
    for name, allowed in recipients.postgres.items():
        if name not in (*databases, LEDGER):
            yield document.problem(
                ("postgres", name), "is no database of the data map", suggestion(name, (*databases, LEDGER))
            )
        for index, role in enumerate(allowed.privileged):
            if role not in allowed.roles:
                yield document.problem(
                    ("postgres", name, "privileged", index),
                    "is privileged, but not among the roles",
                    f"add it to postgres.{name}.roles, or remove it here",
                )
