"""Where a server is known not to do what S3 does: the only reasons for which a contract test may fail.

Each row is a strict expected failure: when a new release does better, the test says so and the row goes.
"""

from __future__ import annotations

from typing import NamedTuple

from botocore.exceptions import ClientError


class Difference(NamedTuple):
    """``test`` is the function's name; ``case`` a part of its parameters' id, or empty for all of them.

    ``raises``: how else than by a failed assertion it shows; ``slow``: it takes long to show.
    """

    server: str
    test: str
    reason: str
    case: str = ""
    raises: tuple[type[Exception], ...] = ()
    slow: bool = False


_POLICY = "test_a_bucket_policy_against_deleting_is_counted_and_the_run_is_not_clean"
_ODD_KEYS = "test_keys_with_odd_characters_are_erased"
_STRANGER = "test_wrong_credentials_are_refused_and_the_error_says_so_without_naming_anything"
_EXPIRED = "test_credentials_that_stop_being_valid_stop_the_run"
_KEYS = "test_no_more_than_1000_keys_are_taken_at_once"

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "seaweedfs", _ODD_KEYS, "a part of a key is a file name, of 255 bytes", "odd7", (ClientError,), True
    ),
    Difference("seaweedfs", _ODD_KEYS, "takes // for /", "//"),
    Difference("seaweedfs", _ODD_KEYS, "takes a dot for the folder itself", ".-seaweedfs", (ClientError,)),
    Difference(
        "seaweedfs",
        "test_buckets_without_versions_and_with_suspended_ones_are_emptied_too",
        "without versions it still lists a delete marker that cannot be deleted",
        "None",
    ),
    Difference("seaweedfs", _POLICY, "applies no bucket policy to DeleteObjects"),
    Difference(
        "moto",
        "test_expired_archives_go_with_versions_markers_manifests_and_uploads",
        "makes no delete marker for a key that never was",
    ),
    Difference("moto", "test_without_a_witness_last_modified_counts", "dates every unfinished upload 2010"),
    Difference(
        "moto",
        "test_suspending_versions_keeps_the_older_ones_and_erasure_removes_them",
        "forgets older versions when they are suspended",
    ),
    Difference(
        "moto",
        "test_a_rule_of_others_that_keeps_newer_versions_comes_through_ours_unchanged",
        "forgets NewerNoncurrentVersions",
    ),
    Difference(
        "moto",
        "test_a_compliance_lock_cannot_be_shortened_and_is_told_with_its_date",
        "lets a compliance lock be shortened",
    ),
    Difference(
        "moto", _POLICY, "asks for s3:DeleteObject, never for DeleteObjectVersion", "DeleteObjectVersion"
    ),
    Difference("moto", _STRANGER, "checks no signature"),
    Difference("moto", _EXPIRED, "checks no signature"),
    Difference("moto", _KEYS, "takes any number of keys"),
    Difference("ministack", _POLICY, "stores bucket policies, applies none"),
    Difference("ministack", _STRANGER, "checks no signature"),
    Difference("ministack", _EXPIRED, "checks no signature"),
    Difference("ministack", _KEYS, "takes any number of keys"),
)
