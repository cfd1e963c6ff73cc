"""Models of ``config/controls.yaml``: what audit_controls looks at, and what it takes for good enough.

A control is never taken on trust: each is a probe whose verdict says what was seen. What only a person can
confirm (a penetration test, an identity provider's second factor) is written down with its date and ages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.privacy.policy.map_model import MapModel, Name

Reason = Annotated[str, Field(min_length=8)]
Days = Annotated[int, Field(gt=0, le=3653)]


@dataclass(frozen=True)
class Control:
    """What a control keeps: the promise, and what it says in a few words."""

    promise: str
    title: str


CONTROLS: Mapping[str, Control] = {
    "credential_hashes": Control("P2.1", "credentials are stored as strong hashes"),
    "second_copy": Control("P4.5", "every backup set has a young copy in another region or cloud"),
    "tls_version": Control("P7.1", "endpoints speak TLS 1.3 and take nothing older"),
    "encrypted_bucket": Control("P7.2", "buckets encrypt with AES-256"),
    "encrypted_database": Control("P7.2", "database servers and their snapshots are encrypted"),
    "encrypted_queue": Control("P7.2", "queues and topics are encrypted"),
    "encrypted_archive": Control("P7.2", "what we store for people is encrypted"),
    "sealed_ledger": Control("P7.2", "the ledger seals with AES-256"),
    "rotated_key": Control("P7.2", "keys are rotated"),
    "aws_console_mfa": Control("P7.3", "users of the AWS console have a second factor"),
    "administrator_mfa": Control("P7.3", "the platform's administrators have a second factor"),
    "workspace_mfa": Control("P7.3", "administrators of Google Workspace have a second factor"),
    "airflow_login": Control("P7.3", "Airflow is signed in to with a second factor"),
    "third_party_audit": Control("P7.4", "third parties audit security regularly"),
    "guardduty": Control("P7.5", "GuardDuty watches"),
    "cloudtrail": Control("P7.5", "CloudTrail writes down what is done"),
    "google_audit_logs": Control("P7.5", "Google Cloud writes down what is done"),
}
"""Every control by its code, which with the promise names its breach."""


class OlderTaken(MapModel):
    """Servers of somebody else that take older TLS from others; our clients take 1.3 only.

    ``host``: this host, and all below it.
    """

    host: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")]
    why: Reason


class Tls(MapModel):
    """``older_taken``: where a server's taking older versions breaks nothing, and why."""

    older_taken: tuple[OlderTaken, ...] = ()


class Topic(MapModel):
    """An SNS topic."""

    connection: str
    arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sns:")]


class AtRest(MapModel):
    """``customer_keys``: buckets that need a KMS key of ours. ``queues``: connections with ``queue_url``."""

    customer_keys: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    topics: tuple[Topic, ...] = ()


class Copies(MapModel):
    """``max_age_days``: how old the youngest backup of each of two places may be."""

    max_age_days: Days = 2


class Argon2(MapModel):
    """Least parameters of argon2id."""

    memory_kib: Annotated[int, Field(ge=1024)]
    iterations: Annotated[int, Field(ge=1)]
    parallelism: Annotated[int, Field(ge=1)] = 1


class Scrypt(MapModel):
    """Least parameters of scrypt; ``log2_n`` 17 is N = 131072."""

    log2_n: Annotated[int, Field(ge=10)]
    r: Annotated[int, Field(ge=1)] = 8
    p: Annotated[int, Field(ge=1)] = 1


_ARGON2 = tuple(
    Argon2(memory_kib=memory, iterations=rounds)
    for memory, rounds in ((47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5))
)
_SCRYPT = tuple(Scrypt(log2_n=n, p=p) for n, p in ((17, 1), (16, 2), (15, 3), (14, 5), (13, 10)))


class Credentials(MapModel):
    """What may be in columns of credentials. The least parameters are OWASP's Password Storage Cheat Sheet's.

    A hash is good when it reaches one of the sets. ``holds`` says of each column of the category
    ``user.authorization.credentials`` (as ``store.table.column``) whether it holds a ``digest`` of a random
    token, a ``ciphertext`` or a ``password``; ``user.authorization.password`` is passwords unless it says so.
    """

    sample_rows: Annotated[int, Field(gt=0, le=100_000)] = 1000
    argon2id: Annotated[tuple[Argon2, ...], Field(min_length=1)] = _ARGON2
    scrypt: Annotated[tuple[Scrypt, ...], Field(min_length=1)] = _SCRYPT
    bcrypt_cost: Annotated[int, Field(ge=10)] = 10
    pbkdf2_sha256_iterations: Annotated[int, Field(ge=100_000)] = 600_000
    pbkdf2_sha512_iterations: Annotated[int, Field(ge=100_000)] = 210_000
    holds: dict[str, Literal["password", "digest", "ciphertext"]] = Field(default_factory=dict)


class AdministratorTable(MapModel):
    """A table of people who run the platform. ``factor``: null for whoever has no second factor.

    ``left``: null for whoever still works here.
    """

    store: str
    table: Name
    factor: Name
    left: Name | None = None


class Workspace(MapModel):
    """A Google Workspace, by a connection whose account may read the directory."""

    connection: str
    customer: str = "my_customer"


class Confirmed(MapModel):
    """What only a person can see. ``by``: a function, not a name; ``days``: how long the word is good."""

    by: Reason
    how: Reason
    day: date
    days: Days = 180


class Administrators(MapModel):
    """Whose second factor is looked at. ``aws``: connections for IAM.

    ``airflow``: who has seen that the identity provider behind Airflow's login asks for a second factor.
    """

    aws: tuple[str, ...] = ()
    tables: tuple[AdministratorTable, ...] = ()
    workspaces: tuple[Workspace, ...] = ()
    airflow: Confirmed | None = None


class ThirdPartyAudit(MapModel):
    """One audit by somebody else. ``report_sha256``: of the report as it is filed."""

    what: Reason
    by: Annotated[str, Field(min_length=2)]
    day: date
    report_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class ThirdPartyAudits(MapModel):
    """``interval_days``: the longest time between two."""

    interval_days: Days = 400
    audits: tuple[ThirdPartyAudit, ...] = ()


class Intrusion(MapModel):
    """Connections by service. ``max_silence_hours``: without any event it counts as off."""

    guardduty: tuple[str, ...] = ()
    cloudtrail: tuple[str, ...] = ()
    google: tuple[str, ...] = ()
    max_silence_hours: Annotated[int, Field(gt=0, le=168)] = 24


class CloudKey(MapModel):
    """A key in AWS KMS (id, ARN or alias) or Google Cloud KMS (``projects/…/cryptoKeys/…``)."""

    connection: str
    key: Annotated[str, Field(min_length=3)]
    kind: Literal["aws", "google"] = "aws"


class OwnKey(MapModel):
    """A key that we made ourselves, and the day on which the one in use was made."""

    name: str
    made: date


class Keys(MapModel):
    """``max_days``: between two rotations; for the clouds' keys their own period must be no longer."""

    max_days: Days = 400
    cloud: tuple[CloudKey, ...] = ()
    own: tuple[OwnKey, ...] = ()


class Controls(MapModel):
    """Everything of ``config/controls.yaml``.

    ``optional``: control → why it is not red when its verdict is *cannot be told*; a broken one always is.
    """

    optional: dict[str, Reason] = Field(default_factory=dict)
    tls: Tls = Tls()
    at_rest: AtRest = AtRest()
    copies: Copies = Copies()
    credentials: Credentials = Credentials()
    administrators: Administrators = Administrators()
    third_party_audits: ThirdPartyAudits = ThirdPartyAudits()
    intrusion: Intrusion = Intrusion()
    keys: Keys = Keys()

    @model_validator(mode="after")
    def _one_report_one_audit(self) -> Controls:
        digests = [a.report_sha256 for a in self.third_party_audits.audits if a.report_sha256]
        if len(digests) != len(set(digests)):
            raise ValueError("third_party_audits.audits: two audits have the same report; name each once")
        return self
