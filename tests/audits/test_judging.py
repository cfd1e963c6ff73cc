"""IAM of Google, databases, snapshots and logs against their lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from include.privacy.audits import databases, gcs, logs
from include.privacy.audits.findings import PROMISE_OF, principal
from include.privacy.ledger.impersonal import impersonal
from include.privacy.policy.clouds import Logs
from include.privacy.policy.promises import PROMISES
from include.privacy.policy.recipients import DatabaseRecipients, GoogleRecipients, Recipients
from include.privacy.stores.aws import aws_client
from include.privacy.stores.gcs_access import GcsAccess, read_gcs_access
from include.privacy.stores.log_retention import CLOUDWATCH_DAYS, CloudWatchLogs, LogStore
from include.privacy.stores.postgres.ways_out import LoginRole, WaysOut
from include.sandbox import objects
from include.sandbox.gcs import close_to_the_public
from include.sandbox.world import World

GOOGLE = GoogleRecipients(projects=("ours",), principals=("serviceAccount:a@ours.iam.gserviceaccount.com",))


def test_every_code_names_a_promise_of_the_policy() -> None:
    assert set(PROMISE_OF.values()) <= set(PROMISES)
    for judged in (databases, gcs, logs):
        assert set(judged.CODES) <= set(PROMISE_OF)


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ("allUsers", "public_bucket"),
        ("allAuthenticatedUsers", "public_bucket"),
        ("projectOwner:ours", None),
        ("projectViewer:theirs", "unknown_principal"),
        ("serviceAccount:a@ours.iam.gserviceaccount.com", None),
        ("serviceAccount:a@theirs.iam.gserviceaccount.com", "unknown_principal"),
        ("user:jane.doe@example.org", "unknown_principal"),
        ("deleted:user:jane.doe@example.org?uid=123", "unknown_principal"),
    ],
)
def test_a_binding_is_for_whom_the_list_names(member: str, code: str | None) -> None:
    access = GcsAccess((("roles/storage.objectViewer", member),), (), uniform=True, prevents_public=True)
    found = list(gcs.judge(access, GOOGLE))
    assert [f.code for f in found] == ([code] if code else [])
    for finding in found:
        assert "jane" not in str(finding)
        assert impersonal(str(finding)) == str(finding)


def test_principals_are_told_apart_without_their_address() -> None:
    first, second = principal("user:jane@example.org", 1), principal("user:john@example.org", 2)
    assert first != second
    assert "example.org" in first


def test_a_bucket_of_the_sandbox_is_read_as_it_is(gcs_bucket: Callable[..., Any], gcs_client: Any) -> None:
    bucket = gcs_bucket()
    opened = list(gcs.judge(read_gcs_access(gcs_client, bucket.name), GOOGLE))
    assert {f.code for f in opened} == {"public_access_not_blocked", "acls_in_use", "unknown_principal"}
    close_to_the_public(bucket).patch()
    own = GoogleRecipients(projects=(gcs_client.project,))
    assert list(gcs.judge(read_gcs_access(gcs_client, bucket.name), own)) == []


def test_a_database_is_compared_name_by_name() -> None:
    found = WaysOut(
        roles=(LoginRole(1, "app", False), LoginRole(2, "jane.doe", True)),
        publications=("known", "new"),
        servers=("elsewhere",),
        slots=("known",),
    )
    allowed = DatabaseRecipients(roles=("app",), publications=("known",), slots=("known",))
    findings = list(databases.judge(found, "accounts", allowed))
    assert [f.code for f in findings] == [
        "unknown_role", "privileged_role", "unknown_publication", "unknown_foreign_server",
    ]  # fmt: skip
    assert "jane" not in " ".join(map(str, findings))
    assert "postgres.accounts.publications" in str(findings[2])


class Service:
    """Logs whose settings a test writes down."""

    def __init__(self, *stores: LogStore) -> None:
        self.stores = {s.name: s for s in stores}

    def log_stores(self, prefix: str) -> Iterator[LogStore]:
        return (s for s in list(self.stores.values()) if s.name.startswith(prefix))

    def shorten(self, log_store: LogStore, days: int) -> int:
        self.stores[log_store.name] = LogStore(log_store.name, days)
        return days

    def destinations(self, prefix: str) -> Iterator[tuple[str, str]]:
        yield "sink out", "bigquery"


def test_logs_are_shortened_where_we_manage_them_and_reported_where_not() -> None:
    stores = [LogStore("a", 30), LogStore("b", None), LogStore("c", 400, locked=True), LogStore("d", 365)]
    service = Service(*stores)
    settings: dict[str, Any] = {"name": "l", "kind": "cloudwatch", "connection": "c", "max_days": 90}
    audited = Logs(**settings, exempt={"d": "the auditors ask for a year"})
    long = logs.kept_too_long(service, audited)
    assert [s.name for s in logs.mend(service, audited, long)] == ["b", "c"]
    assert service.stores["b"].days is None

    managed = Logs(**settings, mode="manage", exempt={"d": "the auditors ask for a year"})
    left = logs.mend(service, managed, logs.kept_too_long(service, managed))
    assert [s.name for s in left] == ["c"]
    assert service.stores["b"].days == 90
    [finding] = logs.judge(left, managed)
    assert "locked" in str(finding)
    assert logs.kept_too_long(service, managed) == [LogStore("c", 400, locked=True)]


def test_a_copy_of_log_lines_needs_a_place_on_the_list() -> None:
    settings = Logs(name="l", kind="cloud_logging", connection="c", max_days=90)
    assert len(list(logs.destinations(Service(), settings, Recipients()))) == 1
    listed = Recipients(google=GoogleRecipients(sinks=("bigquery",)))
    assert list(logs.destinations(Service(), settings, listed)) == []


def test_cloudwatch_is_read_and_set(world: World) -> None:
    raw = objects.logs_client(world.s3_endpoint)
    names = [f"/audit-test/{n:03}" for n in range(60)]
    for name in names:
        raw.create_log_group(logGroupName=name)
    try:
        keys = {"access_key": objects.ACCESS_KEY, "secret_key": objects.SECRET_KEY}
        client = aws_client("logs", region=objects.REGION, endpoint_url=world.s3_endpoint, **keys)
        service = CloudWatchLogs(client)
        found = list(service.log_stores("/audit-test/"))
        assert [s.name for s in found] == names
        assert {s.days for s in found} == {None}
        assert service.shorten(found[0], 100) == 90
        assert next(service.log_stores(names[0])).days == 90
        assert 90 in CLOUDWATCH_DAYS
        raw.put_subscription_filter(
            logGroupName=names[1], filterName="f", filterPattern="",
            destinationArn="arn:aws:lambda:eu-central-1:999999999999:function:x",
        )  # fmt: skip
        [(what, target)] = service.destinations("/audit-test/")
        assert names[1] in what
        assert target.endswith(":function:x")
    finally:
        for name in names:
            raw.delete_log_group(logGroupName=name)
