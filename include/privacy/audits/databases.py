"""Whether a database has a way out that ``config/recipients.yaml`` does not name (P3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.privacy.audits.findings import Finding
from include.privacy.policy.recipients import DatabaseRecipients

if TYPE_CHECKING:
    from include.privacy.stores.postgres.ways_out import LoginRole, WaysOut

CODES = (
    "unknown_role",
    "privileged_role",
    "unknown_publication",
    "unknown_subscription",
    "unknown_foreign_server",
    "unknown_extension",
    "unknown_replication_slot",
)
_KINDS = (
    ("publications", "unknown_publication", "publication"),
    ("subscriptions", "unknown_subscription", "subscription"),
    ("servers", "unknown_foreign_server", "foreign server"),
    ("extensions", "unknown_extension", "extension"),
    ("slots", "unknown_replication_slot", "replication slot"),
)


def judge(found: WaysOut, name: str, allowed: DatabaseRecipients) -> Iterator[Finding]:
    """Findings of one database. ``name``: its key under ``postgres`` in the file."""
    for role in found.roles:
        if role.name not in allowed.roles:
            yield Finding(
                "unknown_role",
                f"{_shown(role)} may log in",
                f"revoke CONNECT or drop it, or add it to postgres.{name}.roles",
            )
        if role.privileged and role.name not in allowed.privileged:
            yield Finding(
                "privileged_role",
                f"{_shown(role)} reads past every grant (superuser, replication, BYPASSRLS or a pg_… role)",
                f"take that from it, or add it to postgres.{name}.privileged",
            )
    for field, code, word in _KINDS:
        for each in getattr(found, field):
            if each not in getattr(allowed, field):
                yield Finding(code, f"{word} {each}", f"drop it, or add it to postgres.{name}.{field}")


def _shown(role: LoginRole) -> str:
    # A role's name may be a person's.
    return f"the role with oid {role.oid} (pg_roles)"
