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
    """

    title: str
    enforced_by: Annotated[tuple[str, ...], Field(min_length=1)]

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
    """A purpose of processing (fideslang data use) and its legal basis (Art. 6 GDPR)."""

    title: str
    legal_basis: LegalBasis
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
    """Deletes objects under a mapped backup prefix by their capture time."""

    kind: Literal["object_age"]
    prefix: str


Rule = Annotated[SubjectLifecycleRule | RecordAgeRule | ObjectAgeRule, Field(discriminator="kind")]


class Policy(PolicyModel):
    """One version of the privacy policy as enforceable rules.

    ``probe_again_after_days``: when what was erased is looked for a second time.
    ``request_records_days``: how long the ledger keeps the record of a closed request.
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

    def rule(self, rule_id: str) -> SubjectLifecycleRule | RecordAgeRule | ObjectAgeRule:
        """The rule of that id; ``KeyError`` names the known ones."""
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise KeyError(f"rule {rule_id!r} is not in policy.yaml; it knows {[r.id for r in self.rules]}")
