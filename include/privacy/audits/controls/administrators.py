"""Whether everybody with power signs in with a second factor (P7.3). Counts only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from include.privacy import cloud_clients
from include.privacy.audits.controls import airflow_login
from include.privacy.audits.controls.verdicts import Judgement, Probe, broken, cannot_be_told, exempt, holds
from include.privacy.policy.controls import AdministratorTable, Confirmed, Workspace
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.stores.identities import ConsoleUsers, DirectoryAdministrators


def probes(as_of: datetime) -> Iterator[Probe]:
    """AWS accounts, tables of administrators, Workspaces, and Airflow's own login."""
    mapped = runtime().config().controls.administrators
    for conn_id in mapped.aws:
        yield Probe("aws_console_mfa", conn_id, partial(_aws, conn_id))
    for table in mapped.tables:
        place = f"{table.store}.{table.table}"
        yield Probe("administrator_mfa", place, partial(_table, table))
    for workspace in mapped.workspaces:
        yield Probe("workspace_mfa", workspace.connection, partial(_workspace, workspace))
    yield Probe("airflow_login", "airflow", partial(_airflow, mapped.airflow, as_of))


def judge_aws(found: ConsoleUsers) -> Judgement:
    """Root and every user with a password for the console."""
    facts = {
        "with_password": found.with_password,
        "without_factor": found.without_factor,
        "root": found.root_has_factor,
    }
    missing = (
        [f"{found.without_factor} of {found.with_password} console users"] if found.without_factor else []
    )
    missing += [] if found.root_has_factor else ["the root user"]
    if missing:
        return broken(
            f"without a second factor: {' and '.join(missing)}",
            "give them one, or take the password away; the credential report names them",
            **facts,
        )
    return holds(f"root and all {found.with_password} console users have a second factor", **facts)


def judge_workspace(found: DirectoryAdministrators) -> Judgement:
    """Enrolled, and unable to leave."""
    facts = {"total": found.total, "not_enrolled": found.not_enrolled, "not_enforced": found.not_enforced}
    if not found.total:
        return cannot_be_told(
            "the directory shows no administrator", "give the account a role that reads users"
        )
    if found.not_enrolled or found.not_enforced:
        return broken(
            f"{found.not_enrolled} of {found.total} administrators have no second step, "
            f"{found.not_enforced} need not have one",
            "enforce 2-Step Verification for administrators in the Admin console",
            **facts,
        )
    return holds(f"all {found.total} administrators must use a second step", **facts)


def judge_login(login: airflow_login.Login, confirmed: Confirmed | None, as_of: datetime) -> Judgement:
    """What can be told from the settings; beyond an identity provider only a person sees."""
    facts = {"auth_manager": login.manager, "kind": login.kind}
    if login.kind == "provider":
        if confirmed is None:
            return cannot_be_told(
                "an identity provider signs people in; whether it asks for a second factor is not in Airflow",
                "have it looked at, and write it into config/controls.yaml (administrators.airflow)",
                **facts,
            )
        age = as_of.date() - confirmed.day
        facts |= {"confirmed": confirmed.day.isoformat(), "by": confirmed.by, "how": confirmed.how}
        if age > timedelta(days=confirmed.days):
            return broken(f"last confirmed {age.days} days ago", "have it looked at again", **facts)
        return holds(f"confirmed on {confirmed.day} by {confirmed.by}", **facts)
    if login.loopback_only:
        return exempt("no second factor, and nobody reaches it but this machine", **facts)
    return broken(
        "Airflow is signed in to with a password alone"
        if login.kind == "passwords"
        else "anybody may sign in",
        "use an auth manager behind an identity provider that asks for a second factor",
        **facts,
    )


def _aws(conn_id: str) -> Judgement:
    from include.privacy.stores.identities import console_users

    return judge_aws(console_users(runtime().aws("iam", conn_id)))


def _table(mapped: AdministratorTable) -> Judgement:
    from include.privacy.stores.postgres.credentials import without_factor

    database = runtime().config().data_map[mapped.store]
    if not isinstance(database, DatabaseMap):
        raise TypeError(f"store {mapped.store!r} is no database")
    dsn = runtime().dsn(database.connection)
    total, missing = without_factor(dsn, database.schema_, mapped.table, mapped.factor, mapped.left)
    if missing:
        return broken(
            f"{missing} of {total} administrators have no second factor",
            "have them enrol one, or take their rights away",
            total=total,
            without_factor=missing,
        )
    return holds(f"all {total} administrators have a second factor", total=total, without_factor=0)


def _workspace(mapped: Workspace) -> Judgement:
    from include.privacy.stores.identities import DIRECTORY_SCOPE, directory_administrators

    api = cloud_clients.google(runtime().connection(mapped.connection), DIRECTORY_SCOPE)
    return judge_workspace(directory_administrators(api, mapped.customer))


def _airflow(confirmed: Confirmed | None, as_of: datetime) -> Judgement:
    return judge_login(airflow_login.read_login(), confirmed, as_of)
