"""Bucket policies and ACLs against the list of known recipients."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.audits import s3
from include.privacy.policy.recipients import AwsRecipients
from include.privacy.stores.s3_access import Destination, S3Access, read_s3_access
from include.sandbox import objects

OURS, THEIRS = "111111111111", "999999999999"
ALLOWED = AwsRecipients(
    accounts=(OURS,),
    services=("logging.s3.amazonaws.com",),
    canonical_users=("canonical-1",),
    conditions={"aws:PrincipalOrgID": ("o-ours",)},
    buckets=("our-logs",),
)
EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"


def access(**change: Any) -> S3Access:
    closed: dict[str, Any] = {
        "blocks": frozenset(s3.BLOCKS), "statements": (), "grants": (), "acls_off": True, "website": False,
        "destinations": (),
    }  # fmt: skip
    return S3Access(**{**closed, **change})


def codes(found: S3Access) -> list[str]:
    return [f.code for f in s3.judge(found, {"mapped"}, ALLOWED)]


def statement(principal: Any, condition: Any = None, **more: Any) -> dict[str, Any]:
    made = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": "*", **more}
    return made | ({"Condition": condition} if condition else {})


def test_a_closed_bucket_has_no_findings() -> None:
    assert codes(access()) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (statement("*"), ["public_bucket"]),
        (statement({"AWS": "*"}), ["public_bucket"]),
        (statement({"AWS": ["*", f"arn:aws:iam::{OURS}:root"]}), ["public_bucket"]),
        ({"Effect": "Allow", "NotPrincipal": {"AWS": OURS}, "Action": "s3:*"}, ["public_bucket"]),
        (statement({"AWS": OURS}), []),
        (statement({"AWS": f"arn:aws:sts::{OURS}:assumed-role/r/s"}), []),
        (statement({"AWS": f"arn:aws:iam::{THEIRS}:role/x"}), ["foreign_account"]),
        (statement({"AWS": [f"arn:aws:iam::{OURS}:root", THEIRS]}), ["foreign_account"]),
        (statement({"AWS": "AIDAEXAMPLEID"}), ["foreign_account"]),
        (statement({"Service": "logging.s3.amazonaws.com"}), []),
        (statement({"Service": "cloudfront.amazonaws.com"}), ["unknown_service"]),
        (statement({"Federated": "accounts.google.com"}), ["foreign_account"]),
        (statement({"CanonicalUser": "canonical-1"}), []),
        (statement("*", Effect="Deny"), []),
        (statement("*", {"StringEquals": {"aws:PrincipalOrgID": "o-ours"}}), []),
        (statement("*", {"StringEquals": {"aws:principalorgid": ["o-ours"]}}), []),
        (statement("*", {"StringEquals": {"aws:PrincipalAccount": [OURS]}}), []),
        (statement("*", {"StringEquals": {"aws:PrincipalAccount": [OURS, THEIRS]}}), ["public_bucket"]),
        (statement("*", {"StringEquals": {"aws:PrincipalOrgID": "o-theirs"}}), ["public_bucket"]),
        (statement("*", {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-ours"}}), ["public_bucket"]),
        (statement("*", {"StringNotEquals": {"aws:PrincipalOrgID": "o-ours"}}), ["public_bucket"]),
        (statement("*", {"StringLike": {"aws:PrincipalOrgID": "o-*"}}), ["public_bucket"]),
        (statement("*", {"StringEquals": {"aws:PrincipalAccount": []}}), ["public_bucket"]),
    ],
)  # fmt: skip
def test_a_statement_of_a_policy_lets_in_only_whom_the_list_names(
    given: dict[str, Any], expected: list[str]
) -> None:
    assert codes(access(statements=(given,))) == expected


def test_acls_count_only_where_they_are_in_force() -> None:
    grants = (
        {"Grantee": {"Type": "Group", "URI": EVERYBODY}, "Permission": "READ"},
        {"Grantee": {"Type": "CanonicalUser", "ID": "somebody"}, "Permission": "READ"},
        {"Grantee": {"Type": "CanonicalUser", "ID": "canonical-1"}, "Permission": "READ"},
    )
    assert codes(access(grants=grants)) == []
    assert codes(access(grants=grants, acls_off=False)) == ["acls_in_use", "public_bucket", "foreign_account"]


def test_copies_go_to_buckets_that_the_map_or_the_list_knows() -> None:
    known = (Destination("replication", "mapped", OURS), Destination("access log", "our-logs"))
    assert codes(access(destinations=known)) == []
    unknown = (Destination("inventory", "elsewhere"), Destination("replication", "mapped", THEIRS))
    assert codes(access(destinations=unknown)) == ["unknown_destination"] * 2


def test_a_website_and_an_open_block_are_findings() -> None:
    opened = access(website=True, blocks=frozenset(s3.BLOCKS) - {"BlockPublicPolicy"})
    assert codes(opened) == ["public_access_not_blocked", "public_bucket"]


@given(st.text(alphabet="abcdefghij", min_size=6, max_size=12))
def test_no_name_of_a_principal_is_told(name: str) -> None:
    arn = f"arn:aws:iam::{THEIRS}:user/{name}"
    [finding] = s3.judge(access(statements=(statement({"AWS": arn}),)), set(), ALLOWED)
    assert f"user of account {THEIRS}" in str(finding)
    assert f"user/{name}" not in str(finding)


def test_what_a_server_stores_is_read_as_it_is(s3_client: Any, bucket: Callable[..., str]) -> None:
    name = bucket()
    opened = read_s3_access(s3_client, name)
    assert opened.blocks == frozenset()
    assert opened.grants == ()
    assert opened.acls_off
    objects.block_public_access(s3_client, name)
    policy = {"Version": "2012-10-17", "Statement": statement("*")}
    s3_client.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    s3_client.put_bucket_acl(Bucket=name, ACL="public-read")
    s3_client.put_bucket_logging(
        Bucket=name,
        BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": "elsewhere", "TargetPrefix": "x/"}},
    )
    s3_client.put_bucket_replication(
        Bucket=name,
        ReplicationConfiguration={
            "Role": f"arn:aws:iam::{OURS}:role/r",
            "Rules": [
                {"ID": "r", "Priority": 1, "Filter": {"Prefix": ""}, "Status": "Enabled",
                 "DeleteMarkerReplication": {"Status": "Disabled"},
                 "Destination": {"Bucket": "arn:aws:s3:::copy"}}
            ],
        },
    )  # fmt: skip
    found = read_s3_access(s3_client, name)
    assert found.blocks == frozenset(s3.BLOCKS)
    assert [s["Principal"] for s in found.statements] == ["*"]
    assert [g["Grantee"].get("URI") for g in found.grants] == [EVERYBODY]
    copies = {(d.what, d.bucket) for d in found.destinations}
    assert copies == {("replication", "copy"), ("access log", "elsewhere")}
