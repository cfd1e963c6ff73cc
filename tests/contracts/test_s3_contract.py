"""The tests of the S3 store that a server's behaviour can break, run on two more servers.

They are the very tests that `tests/stores` runs on the sandbox's server, which is therefore left out
here; what is added, and runs on all three, stands in the other files of this folder.
"""

from __future__ import annotations

import pytest

from tests.stores.test_backups_s3 import (  # noqa: F401 - collected here
    test_a_default_retention_longer_than_the_promise_is_told,
    test_a_lock_beyond_the_limit_is_told_at_plan_time_and_at_the_refusal,
    test_a_manifest_under_a_delete_marker_still_testifies,
    test_a_rule_of_ours_that_somebody_changed_is_put_right,
    test_an_audited_bucket_is_compared_and_never_written,
    test_copying_an_archive_does_not_make_it_younger,
    test_expired_archives_go_with_versions_markers_manifests_and_uploads,
    test_the_boundary_is_exact,
    test_the_lifecycle_is_set_and_other_peoples_rules_stay,
    test_without_a_witness_last_modified_counts,
)
from tests.stores.test_s3_erasure import (  # noqa: F401 - collected here
    test_a_bucket_that_is_gone_is_told_by_name,
    test_a_cohort_shares_batches_and_uploads_are_listed_once,
    test_a_dry_run_counts_the_same_and_deletes_nothing,
    test_a_legal_hold_of_the_bucket_is_named_and_its_delete_marker_stays_on,
    test_a_second_run_finds_nothing_and_harms_nothing,
    test_buckets_without_versions_and_with_suspended_ones_are_emptied_too,
    test_erasure_removes_every_version_marker_and_upload_and_nobody_elses,
    test_keys_with_odd_characters_are_erased,
    test_more_versions_than_a_page_holds_are_all_erased,
    test_one_locked_object_does_not_stop_the_others_and_is_told_with_mode_and_date,
)

pytestmark = pytest.mark.parametrize("server", ["seaweedfs", "moto"], indirect=True, scope="session")
