"""The verdicts on what was seen: when a control holds, when it is broken, and when nobody can tell."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.low_level import Type
from hypothesis import given, settings
from hypothesis import strategies as st

from include.privacy.archives.writer import Member, new_passphrase, pack
from include.privacy.audits.controls import (
    administrators,
    airflow_login,
    at_rest,
    copies,
    credentials,
    hashes,
    intrusion,
    key_rotation,
    probing,
    third_parties,
    zip_header,
)
from include.privacy.audits.controls.verdicts import Judgement, Probe, Verdict
from include.privacy.connections import UnusableConnectionError
from include.privacy.ledger import sealing
from include.privacy.policy.controls import (
    Confirmed,
    Controls,
    Credentials,
    OwnKey,
    ThirdPartyAudit,
    ThirdPartyAudits,
)
from include.privacy.runtime import Runtime, use_runtime
from include.privacy.stores.at_rest import BucketSettings, NewestObject
from include.privacy.stores.aws import CloudError
from include.privacy.stores.detection import Trail
from include.privacy.stores.identities import ConsoleUsers, DirectoryAdministrators
from include.privacy.stores.key_rotation import Rotation

AS_OF = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
judge_password = hashes.password(Credentials())


def argon2(memory: int, rounds: int, kind: Type = Type.ID) -> str:
    return PasswordHasher(time_cost=rounds, memory_cost=memory, parallelism=1, type=kind).hash("secret")


def django(name: str, rounds: int) -> str:
    digest = hashlib.pbkdf2_hmac(name, b"secret", b"salt", 1)
    return f"pbkdf2_{name}${rounds}$salt${b64encode(digest).decode()}"


SCRYPT = "{}$" + "c2FsdA" + "$" + "a" * 43


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (argon2(19456, 2), None),
        (argon2(47104, 1), None),
        (argon2(65536, 3), None),
        (argon2(19456, 1), hashes.WEAK),
        (argon2(19456, 2, Type.I), hashes.WEAK),
        ("$2b$10$" + "a" * 53, None),
        ("$2b$04$" + "a" * 53, hashes.WEAK),
        ("$2x$12$" + "a" * 53, hashes.WEAK),
        (SCRYPT.format("scrypt:131072:8:1"), None),
        (SCRYPT.format("scrypt:32768:8:3"), None),
        (SCRYPT.format("scrypt:32768:8:1"), hashes.WEAK),
        (SCRYPT.format("$scrypt$ln=17,r=8,p=1"), None),
        (SCRYPT.format("$scrypt$ln=12,r=8,p=1"), hashes.WEAK),
        (django("sha256", 600_000), None),
        (django("sha256", 120_000), hashes.WEAK),
        (django("sha512", 210_000), None),
        (django("sha1", 2_000_000), hashes.WEAK),
        (SCRYPT.format("$pbkdf2-sha256$i=600000,l=32"), None),
        (hashlib.md5(b"secret").hexdigest(), hashes.FAST),
        (hashlib.sha1(b"secret").hexdigest(), hashes.FAST),
        (hashlib.sha256(b"secret").hexdigest(), hashes.FAST),
        ("sha1$salt$" + hashlib.sha1(b"secret").hexdigest(), hashes.FAST),
        ("$1$salt$qJH7.N4xYta3aEG/dfqo/0", hashes.FAST),
        ("{SSHA}" + b64encode(b"x" * 24).decode(), hashes.FAST),
        ("correct horse battery staple", hashes.PLAIN),
        ("", hashes.PLAIN),
    ],
    # Salts are drawn anew: the names of the tests must not follow from them.
    ids=(str(n) for n in range(100)),
)
def test_only_strong_hashes_with_todays_parameters_pass(value: str, fault: str | None) -> None:
    assert judge_password(value) == fault
    assert judge_password(value.encode()) == fault


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_whatever_people_choose_as_a_password_is_no_strong_hash(chosen: str) -> None:
    assert judge_password(chosen) is not None


def test_digests_and_ciphertexts_are_told_by_their_length() -> None:
    token = b"a random token"
    for good in (hashlib.sha256(token).digest(), hashlib.sha256(token).hexdigest()):
        assert hashes.digest(good) is None
    for short in (hashlib.md5(token).digest(), hashlib.sha1(token).hexdigest()):
        assert hashes.digest(short) == hashes.SHORT
    assert hashes.ciphertext(b"n" * 12 + b"c" * 20 + b"t" * 16) is None
    assert hashes.ciphertext(b64encode(b"c" * 48).decode()) is None
    for seed in (b"s" * 20, b"s" * 32, "JBSWY3DPEHPK3PXP"):
        assert hashes.ciphertext(seed) == hashes.SHORT


def test_a_column_is_broken_by_one_bad_value_and_exempt_when_empty() -> None:
    assert verdict(credentials.judge(Counter(), "password")) == "exempt"
    assert verdict(credentials.judge(Counter({None: 900}), "password")) == "holds"
    found = credentials.judge(Counter({None: 899, hashes.FAST: 1}), "password")
    assert verdict(found) == "broken" and "1 of 900 a fast hash" in found.reason


def verdict(judged: Judgement) -> str:
    return judged.verdict.value


def test_archives_are_known_by_their_own_header() -> None:
    packed = b"".join(pack([Member("a.txt", [b"text"])], new_passphrase(), as_of=AS_OF))
    head = packed[: zip_header.BYTES]
    assert zip_header.aes_bits(head) == 256
    assert verdict(at_rest.judge_archive(NewestObject("aws:kms", head), sealed_by_us=True)) == "holds"
    weaker = head.replace(b"\x01\x99\x07\x00\x02\x00AE\x03", b"\x01\x99\x07\x00\x02\x00AE\x01")
    for other in (weaker, b"PK\x03\x04" + bytes(40), b"not a zip", b"", head[:29]):
        assert verdict(at_rest.judge_archive(NewestObject("aws:kms", other), sealed_by_us=True)) == "broken"
    assert verdict(at_rest.judge_archive(NewestObject(None, head), sealed_by_us=True)) == "broken"
    assert verdict(at_rest.judge_archive(NewestObject("AES256", b""), sealed_by_us=False)) == "holds"
    assert verdict(at_rest.judge_archive(None, sealed_by_us=True)) == "exempt"


@given(st.binary(max_size=300))
def test_no_bytes_stop_the_reading_of_a_header(head: bytes) -> None:
    assert zip_header.aes_bits(head) in (None, 128, 192, 256)
    zip_header.aes_bits(b"PK\x03\x04\x33\x00\x01\x00\x63\x00" + head)


def test_buckets_and_storage() -> None:
    ours, theirs = BucketSettings("aws:kms", "key", "eu"), BucketSettings("AES256", None, "eu")
    assert verdict(at_rest.judge_bucket(ours, own_key=True)) == "holds"
    assert verdict(at_rest.judge_bucket(theirs, own_key=False)) == "holds"
    assert verdict(at_rest.judge_bucket(theirs, own_key=True)) == "broken"
    assert verdict(at_rest.judge_bucket(BucketSettings(None, None, "eu"), own_key=False)) == "broken"
    assert verdict(at_rest.judge_storage([])) == "exempt"
    assert verdict(at_rest.judge_storage([("instance", "a", True)])) == "holds"
    found = at_rest.judge_storage(
        [("instance", "a", True), *(("snapshot", f"s{n}", False) for n in range(7))]
    )
    assert verdict(found) == "broken" and "and 2 more" in found.reason


def test_two_places_need_a_young_backup_each() -> None:
    young, old = AS_OF - DAY, AS_OF - 3 * DAY
    aws = copies.Copy("s3", "AWS", "eu-central-1", young)
    google = copies.Copy("gcs", "Google Cloud", "eu", young)
    for pair, expected in (
        ([aws, google], "holds"),
        ([aws, copies.Copy("other", "AWS", "eu-west-1", young)], "holds"),
        ([aws, copies.Copy("other", "AWS", "eu-central-1", young)], "broken"),
        ([aws], "broken"),
        ([aws, copies.Copy("gcs", "Google Cloud", "eu", old)], "broken"),
        ([aws, copies.Copy("gcs", "Google Cloud", "eu", None)], "broken"),
    ):
        assert verdict(copies.judge(pair, AS_OF, 2 * DAY)) == expected


def test_second_factors() -> None:
    assert verdict(administrators.judge_aws(ConsoleUsers(3, 0, True))) == "holds"
    missing = administrators.judge_aws(ConsoleUsers(3, 1, False))
    assert verdict(missing) == "broken" and "the root user" in missing.reason
    assert verdict(administrators.judge_workspace(DirectoryAdministrators(3, 0, 0))) == "holds"
    assert verdict(administrators.judge_workspace(DirectoryAdministrators(3, 0, 1))) == "broken"
    assert verdict(administrators.judge_workspace(DirectoryAdministrators(0, 0, 0))) == "cannot be told"


def test_airflows_login() -> None:
    word = Confirmed(by="the officer", how="sign-in policy", day=date(2026, 10, 1), days=60)
    stale = word.model_copy(update={"day": date(2026, 9, 1)})
    for kind, loopback, confirmed, expected in (
        ("passwords", True, None, "exempt"),
        ("passwords", False, word, "broken"),
        ("nobody", False, None, "broken"),
        ("provider", False, None, "cannot be told"),
        ("provider", False, word, "holds"),
        ("provider", False, stale, "broken"),
    ):
        login = airflow_login.Login("Manager", kind, loopback)
        assert verdict(administrators.judge_login(login, confirmed, AS_OF)) == expected


def test_fabs_own_file_is_read_and_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert airflow_login.kind_of_fab("") == "passwords"
    assert airflow_login.kind_of_fab("raise SystemExit\nAUTH_TYPE = AUTH_OAUTH") == "provider"
    assert airflow_login.kind_of_fab("AUTH_TYPE = security.AUTH_LDAP") == "passwords"
    with pytest.raises(LookupError):
        airflow_login.kind_of_fab("AUTH_TYPE = choose()")
    file = tmp_path / "webserver_config.py"
    file.write_text("AUTH_TYPE = AUTH_SAML\n")
    monkeypatch.setenv("AIRFLOW__FAB__CONFIG_FILE", str(file))
    for manager, kind in (("fab.auth_manager.fab_auth_manager.FabAuthManager", "provider"),
                          ("keycloak.KeycloakAuthManager", "provider"),
                          ("simple.SimpleAuthManager", "passwords")):  # fmt: skip
        monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", f"airflow.providers.{manager}")
        assert airflow_login.read_login().kind == kind
    for host, base, loopback in (("127.0.0.1", "http://localhost:1", True), ("0.0.0.0", "", False),
                                 ("127.0.0.1", "https://airflow.example", False)):  # fmt: skip
        monkeypatch.setenv("AIRFLOW__API__HOST", host)
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
        assert airflow_login.read_login().loopback_only is loopback


def test_audits_by_third_parties_age() -> None:
    def audits(*days: date) -> ThirdPartyAudits:
        done = tuple(ThirdPartyAudit(what="penetration test", by="somebody", day=day) for day in days)
        return ThirdPartyAudits(interval_days=365, audits=done)

    assert verdict(third_parties.judge(audits(), AS_OF)) == "broken"
    assert verdict(third_parties.judge(audits(date(2025, 1, 1), date(2025, 11, 20)), AS_OF)) == "holds"
    assert verdict(third_parties.judge(audits(date(2025, 11, 19)), AS_OF)) == "broken"
    planned = third_parties.judge(audits(date(2026, 12, 1)), AS_OF)
    assert verdict(planned) == "broken" and "no audit" in planned.reason


def test_intrusion_detection() -> None:
    assert verdict(intrusion.judge_detectors([False, True])) == "holds"
    assert verdict(intrusion.judge_detectors([False])) == verdict(intrusion.judge_detectors([])) == "broken"
    good = Trail(True, True, AS_OF - timedelta(hours=1), False)
    for trails, expected in (
        ([], "broken"),
        ([good], "holds"),
        ([Trail(False, True, AS_OF, False)], "broken"),
        ([Trail(True, False, AS_OF, False)], "broken"),
        ([Trail(True, True, AS_OF - 2 * DAY, False)], "broken"),
        ([Trail(True, True, None, False)], "broken"),
        ([Trail(True, True, AS_OF, True)], "broken"),
        ([Trail(False, True, None, False), good], "holds"),
    ):
        assert verdict(intrusion.judge_trails(trails, AS_OF, DAY)) == expected
    assert verdict(intrusion.judge_entries({"activity": AS_OF, "data_access": None}, AS_OF, DAY)) == "holds"
    late = {"activity": AS_OF - 2 * DAY, "data_access": None}
    assert verdict(intrusion.judge_entries(late, AS_OF, DAY)) == "broken"


def test_keys_are_rotated_often_enough() -> None:
    for days, expected in ((None, "broken"), (365, "holds"), (366, "broken")):
        assert verdict(key_rotation.judge(Rotation(days), 365)) == expected
    for made, expected in ((date(2025, 11, 20), "holds"), (date(2025, 11, 19), "broken")):
        assert verdict(key_rotation.judge_own(OwnKey(name="k", made=made), AS_OF, 365)) == expected


def test_the_ledgers_sealing_is_tried_and_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Keyed(Runtime):
        def master_key(self) -> bytes:
            return bytes(range(32))

    with use_runtime(Keyed()):
        assert verdict(at_rest._ledger()) == "holds"
        monkeypatch.setattr(sealing, "unseal", lambda key, sealed, context: b"audit_controls")
        assert verdict(at_rest._ledger()) == "broken"


def test_what_cannot_be_told_is_red_unless_the_file_says_why_nobody_needs_to_know() -> None:
    class Configured(Runtime):
        def config(self) -> Any:
            return SimpleNamespace(controls=Controls(optional={"guardduty": "the region has none"}))

    with use_runtime(Configured()):
        assert not probing.is_red("guardduty", Verdict.cannot_be_told)
        assert probing.is_red("guardduty", Verdict.broken)
        assert probing.is_red("cloudtrail", Verdict.cannot_be_told)
        assert not probing.is_red("cloudtrail", Verdict.exempt)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            CloudError("GuardDuty: listing detectors is denied; grant guardduty:ListDetectors"),
            "grant guardduty",
        ),
        (UnusableConnectionError("connection 'aws_iam' is not known"), "'aws_iam' is not known"),
        (ValueError("somebody@example.org is odd"), "the look ended with ValueError"),
    ],
)
def test_what_keeps_us_from_looking_is_the_reason_and_never_quotes_what_it_is_about(
    error: Exception, told: str
) -> None:
    def fail() -> Judgement:
        raise error

    judged = probing.look(Probe("guardduty", "here", fail))
    assert verdict(judged) == "cannot be told"
    assert told in judged.reason and "somebody" not in str(judged)
