"""Models of ``config/policy.yaml``: promises, purposes, retention rules and their limits."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from include.privacy.policy.data_map import LegalBasis

PROMISE_ID = r"^P\d\.\d$"
RuleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class PolicyModel(BaseModel):
    """Frozen and closed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Promise(PolicyModel):
    """What the policy promises, and what keeps it.

    ``enforced_by`` is a rule id, a DAG id, ``planned: dag``, or ``outside: who answers for it``.
    YAML reads the last two as mappings; they and a single word are accepted as written.
    ``categories``: the data that the promise says are collected, as fideslang categories with all below them.
    """

    title: str
    enforced_by: Annotated[tuple[str, ...], Field(min_length=1)]
    categories: tuple[Annotated[str, Field(pattern=r"^user(\.[a-z0-9_]+)+$")], ...] = ()

    @field_validator("enforced_by", mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        entries = value if isinstance(value, list | tuple) else [value]
        return tuple(
            text
            for entry in entries
            for text in ([f"{k}: {v}" for k, v in entry.items()] if isinstance(entry, dict) else [entry])
        )


class Purpose(PolicyModel):
    """A purpose of processing (fideslang data use) and its legal basis (Art. 6 GDPR).

    ``objection`` says what an objection does, which follows from the basis (``policy.objection``);
    ``optional`` lets a purpose of legitimate interests stop without weighing. ``reader`` is the database
    role of the platform's jobs for it, which sees nothing but the purpose's views.
    """

    title: str
    legal_basis: LegalBasis
    objection: Literal["stop", "weigh", "none"] | None = None
    optional: bool = False
    reader: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] | None = None
    promise: Annotated[str, Field(pattern=PROMISE_ID)] = "P3.1"


class Guard(PolicyModel):
    """Blast-radius limits of one run: beyond either, nothing is deleted and approval is asked."""

    max_share: Annotated[float, Field(gt=0, le=1)]
    max_count: Annotated[int, Field(gt=0)]


class Verification(PolicyModel):
    """How the identity of whoever asks is established (P6.7), in proportion to the channel.

    A session that the platform vouches for suffices when it is recent and strong enough; otherwise a
    one-time token goes to a contact point that was on file before the request came. ``token_url`` is the
    platform's page, with ``{request}`` and ``{token}`` in it.
    """

    session_max_age_minutes: Annotated[int, Field(gt=0)] = 60
    session_strengths: Annotated[tuple[str, ...], Field(min_length=1)] = ("password", "passkey", "mfa")
    token_valid_hours: Annotated[int, Field(gt=0, le=24 * 14)] = 72
    token_url: Annotated[str, Field(pattern=r"^https://.*\{request\}.*\{token\}")]


class Sampling(PolicyModel):
    """How much of the stores' contents the audit of the data map looks at.

    ``rows`` of each table and ``objects`` of each prefix, their first ``object_bytes``. A column is reported
    when ``share`` of the values that are there look like something, and ``at_least`` so many do.
    """

    rows: Annotated[int, Field(gt=0, le=10_000)] = 200
    share: Annotated[float, Field(gt=0, le=1)] = 0.05
    at_least: Annotated[int, Field(gt=0)] = 3
    timeout_seconds: Annotated[int, Field(gt=0, le=300)] = 10
    objects: Annotated[int, Field(gt=0, le=100)] = 5
    object_bytes: Annotated[int, Field(gt=0, le=1_000_000)] = 16_384


class OpenDsr(PolicyModel):
    """What the OpenDSR door is told about controllers.

    ``callback_hosts``: the only hosts that are told of changes of status, as ``host`` or ``host:port``;
    without a port, 443.
    """

    callback_hosts: tuple[Annotated[str, Field(pattern=r"^[a-z0-9.-]+(:[0-9]{1,5})?$")], ...] = ()


class _Rule(PolicyModel):
    id: RuleId
    promise: Annotated[str, Field(pattern=PROMISE_ID)]
    store: str
    target_days: Annotated[int, Field(gt=0)]
    limit_days: Annotated[int, Field(gt=0)]
    guard: Guard

    @model_validator(mode="after")
    def _target_below_limit(self) -> _Rule:
        if self.target_days >= self.limit_days:
            raise ValueError("target_days must be below limit_days, so that a failed week breaks no promise")
        return self


class SubjectLifecycleRule(_Rule):
    """Acts on people by the clocks of the root table.

    ``mark_deleted``: ``service_ended_at`` + target makes the account deleted (``deleted_at`` is
    set to the instant it fell due, never later). ``purge``: ``deleted_at`` + target erases.
    """

    kind: Literal["subject_lifecycle"]
    action: Literal["mark_deleted", "purge"]


class RecordAgeRule(_Rule):
    """Deletes rows of one table by the timestamp in ``clock``."""

    kind: Literal["record_age"]
    table: str
    clock: str


class ObjectAgeRule(_Rule):
    """Deletes objects under a mapped prefix of backups or archives by their capture time."""

    kind: Literal["object_age"]
    prefix: str


class SnapshotAgeRule(_Rule):
    """Deletes snapshots of databases by what they captured; ``store`` is a name of ``config/clouds.yaml``."""

    kind: Literal["snapshot_age"]


Rule = Annotated[
    SubjectLifecycleRule | RecordAgeRule | ObjectAgeRule | SnapshotAgeRule, Field(discriminator="kind")
]


class Contact(PolicyModel):
    """Somebody to write to."""

    name: str
    address: str
    email: str | None = None
    url: str | None = None


class Information(PolicyModel):
    """What Art. 15(1) and (2) GDPR ask to be told besides the data, where it is the same for all."""

    controller: Contact
    officer: str
    """E-mail address of the data protection officer."""
    authority: Contact
    """The supervisory authority to complain to."""
    sources: str
    automated_decisions: str
    transfers: str


class Recipient(PolicyModel):
    """Somebody to whom data of people are disclosed (Art. 15(1)(c) GDPR), and how to tell of whom.

    ``when``: ``{identifier: …}`` for people who have that identifier, ``letters`` for those who were written
    to, ``everybody``.
    """

    promise: Annotated[str, Field(pattern=PROMISE_ID)]
    name: str
    what: str
    purpose: str
    country: str
    safeguard: str | None = None
    when: Literal["everybody", "letters"] | dict[Literal["identifier"], str]


class TransmissionHost(PolicyModel):
    """A host to which a portability archive may be sent on a person's behalf (Art. 20(2) GDPR).

    ``loopback`` is for tests: the host may then be this machine, and nothing else.
    """

    host: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 443
    loopback: bool = False


class OwnRetention(PolicyModel):
    """How long this project keeps what it needs for its own work, in days.

    ``airflow_days``: runs, logs and events in Airflow's metadata, and its log files. ``quarantine_days``: bad
    input from outside. ``token_days``: one-time tokens after their end, wrong guesses, delivered callbacks.
    """

    airflow_days: Annotated[int, Field(ge=14, le=400)] = 90
    quarantine_days: Annotated[int, Field(ge=7, le=400)] = 90
    token_days: Annotated[int, Field(ge=1, le=90)] = 30


class Policy(PolicyModel):
    """One version of the privacy policy as enforceable rules.

    ``probe_again_after_days``: when what was erased is looked for a second time.
    ``request_records_days``: how long the ledger keeps the record of a closed request; ``own_retention``:
    the shorter periods of what else is ours.
    ``information`` goes into every access archive, and of ``recipients`` those who got this person's data.
    ``transmission_hosts``: where else a portability
    archive may be sent; nowhere, unless listed. ``sampling``: how the data map's audit looks at contents.
    """

    version: str
    effective: date
    timezone: str
    promises: dict[Annotated[str, Field(pattern=PROMISE_ID)], Promise]
    purposes: dict[str, Purpose]
    rules: tuple[Rule, ...]
    verification: Verification
    opendsr: OpenDsr = OpenDsr()
    probe_again_after_days: Annotated[int, Field(gt=0)] = 3
    request_records_days: Annotated[int, Field(gt=0)] = 1096
    own_retention: OwnRetention = OwnRetention()
    information: Information | None = None
    recipients: tuple[Recipient, ...] = ()
    transmission_hosts: tuple[TransmissionHost, ...] = ()
    sampling: Sampling = Sampling()

    def rule(self, rule_id: str) -> SubjectLifecycleRule | RecordAgeRule | ObjectAgeRule | SnapshotAgeRule:
        """The rule of that id; ``KeyError`` names the known ones."""
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise KeyError(f"rule {rule_id!r} is not in policy.yaml; it knows {[r.id for r in self.rules]}")
