"""Who may sign in where without a second factor: counts only, never a name."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.privacy.stores.aws import CloudError, told

if TYPE_CHECKING:
    from include.privacy.stores.google_api import GoogleApi

ROOT = "<root_account>"
DIRECTORY_HOST = "admin.googleapis.com"
DIRECTORY_SCOPE = "https://www.googleapis.com/auth/admin.directory.user.readonly"
_LOOKS, _PAUSE_S = 15, 2.0
_FIELDS = "isAdmin,isDelegatedAdmin,suspended,isEnrolledIn2Sv,isEnforcedIn2Sv"
_PAGE = 500  # the most that the directory gives at once


@dataclass(frozen=True)
class ConsoleUsers:
    """``with_password``: who may sign in to the console; ``without_factor`` of them have no MFA device."""

    with_password: int
    without_factor: int
    root_has_factor: bool


def console_users(client: Any, *, sleep: Callable[[float], None] = time.sleep) -> ConsoleUsers:
    """From IAM's credential report, which AWS makes anew every four hours at most. Raises ``CloudError``."""
    for _ in range(_LOOKS):
        with told("AWS IAM", "making the credential report", "iam:GenerateCredentialReport"):
            state = client.generate_credential_report().get("State")
        if state == "COMPLETE":
            break
        sleep(_PAUSE_S)
    else:
        raise CloudError("AWS IAM: the credential report was not ready in time; the next run asks again")
    with told("AWS IAM", "reading the credential report", "iam:GetCredentialReport"):
        content = client.get_credential_report()["Content"]
    text = content.decode() if isinstance(content, bytes) else str(content)
    people = without = 0
    root = False
    for row in csv.DictReader(io.StringIO(text)):
        factor = row.get("mfa_active", "").lower() == "true"
        if row.get("user") == ROOT:
            root = factor
        elif row.get("password_enabled", "").lower() == "true":
            people += 1
            without += not factor
    return ConsoleUsers(people, without, root)


@dataclass(frozen=True)
class DirectoryAdministrators:
    """Administrators of a Google Workspace. ``not_enforced``: they could switch their second factor off."""

    total: int
    not_enrolled: int
    not_enforced: int


def directory_administrators(api: GoogleApi, customer: str) -> DirectoryAdministrators:
    """Super administrators and delegated ones, without the suspended. Raises ``CloudError``."""
    people = api.pages(
        DIRECTORY_HOST,
        "/admin/directory/v1/users",
        "users",
        permission="an administrator's role that may read users (admin.directory.user.readonly)",
        size=("maxResults", _PAGE),
        query={
            "customer": customer,
            "fields": f"nextPageToken,users({_FIELDS})",
        },
    )
    total = not_enrolled = not_enforced = 0
    for each in people:
        if each.get("suspended") or not (each.get("isAdmin") or each.get("isDelegatedAdmin")):
            continue
        total += 1
        not_enrolled += not each.get("isEnrolledIn2Sv")
        not_enforced += not each.get("isEnforcedIn2Sv")
    return DirectoryAdministrators(total, not_enrolled, not_enforced)
