"""What an audit finds: a code, the promise that it breaks, where, and what to do. Never anything of a person.

Names of things (buckets, publications, sinks) are told as they are. Names of those who may be people
(roles, accounts of users) are not: their kind, domain and place in the policy, where the owner finds them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SOLD = "P3.2"
KEPT_TOO_LONG = "P2.4"

PROMISE_OF: Mapping[str, str] = {
    "public_bucket": SOLD,
    "public_access_not_blocked": SOLD,
    "acls_in_use": SOLD,
    "foreign_account": SOLD,
    "unknown_service": SOLD,
    "unknown_principal": SOLD,
    "unknown_destination": SOLD,
    "public_snapshot": SOLD,
    "shared_snapshot": SOLD,
    "unknown_role": SOLD,
    "privileged_role": SOLD,
    "unknown_publication": SOLD,
    "unknown_subscription": SOLD,
    "unknown_foreign_server": SOLD,
    "unknown_extension": SOLD,
    "unknown_replication_slot": SOLD,
    "unknown_log_destination": SOLD,
    "logs_kept_too_long": KEPT_TOO_LONG,
}
"""Every code but those of processors, whose promise is in their own map."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be. ``what`` and ``fix`` are halves of one sentence each."""

    code: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}: {self.fix}"


def breach_rule(promise: str, code: str) -> str:
    """Under what name the ledger has the breach: the promise first, for whoever reads the alarm."""
    return f"{promise} {code}"


_TECHNICAL = frozenset({"serviceAccount", "domain", "principalSet", "principal"})


def principal(member: str, entry: int) -> str:
    """A principal of Google's IAM without a person's address; its owner finds it as ``entry`` of the policy.

    No hash of it: addresses can be guessed.
    """
    deleted = "deleted " if member.startswith("deleted:") else ""
    kind, _, name = member.removeprefix("deleted:").partition(":")
    local, at, domain = name.split("?")[0].rpartition("@")
    if not at:
        return f"{deleted}{kind} {domain}".strip()
    if kind in _TECHNICAL:
        return f"{deleted}{kind} {local} of {domain}"
    return f"{deleted}{kind} of {domain} (entry {entry})"


_ARN = re.compile(r"arn:aws[a-z-]*:(iam|sts)::(\d{12}):([a-z-]+)")


def account_of(aws_principal: str) -> str | None:
    """The account of a principal in a policy; ``None`` for what names none (the id of a deleted one)."""
    if re.fullmatch(r"\d{12}", aws_principal):
        return aws_principal
    found = _ARN.match(aws_principal)
    return found[2] if found else None


def shown_account(aws_principal: str) -> str:
    """The principal without its name, which may be a person's."""
    found = _ARN.match(aws_principal)
    kind = found[3] if found and found[3] != "root" else "anybody"
    account = account_of(aws_principal)
    return f"{kind} of account {account}" if account else "a principal that exists no more"
