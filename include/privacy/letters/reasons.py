"""Why a request is refused or takes longer, why a purpose goes on, what a person is asked: the codes.

Their wording is in ``config/letters/<language>/words.yaml``.
"""

from __future__ import annotations

from enum import StrEnum


class RefusalReason(StrEnum):
    """Reasons of the Data Rights Protocol 1.0 and those that European law adds.

    ``RefusalReason("no_match")`` and ``("insuf_verification")``, the protocol's own words, are understood.
    """

    suspected_fraud = "suspected_fraud"
    insufficient_verification = "insufficient_verification"
    no_such_account = "no_such_account"
    claim_not_covered = "claim_not_covered"
    outside_jurisdiction = "outside_jurisdiction"
    too_many_requests = "too_many_requests"
    manifestly_unfounded = "manifestly_unfounded"
    excessive = "excessive"
    law_requires_keeping = "law_requires_keeping"
    duplicate = "duplicate"
    outside_scope = "outside_scope"
    not_eligible_purpose = "not_eligible_purpose"
    other = "other"

    @classmethod
    def _missing_(cls, value: object) -> RefusalReason | None:
        return _FROM_DRP.get(str(value))

    @property
    def needs_explanation(self) -> bool:
        """Whether the general wording is not enough: the burden of proof is ours (Art. 12(5) GDPR)."""
        return self in (
            RefusalReason.manifestly_unfounded,
            RefusalReason.excessive,
            RefusalReason.other,
        )

    @property
    def drp(self) -> str:
        """The reason in the vocabulary of the Data Rights Protocol 1.0."""
        return _TO_DRP.get(self, "other")


class ExtensionReason(StrEnum):
    """The two reasons for which the law's period may be extended (Art. 12(3) GDPR)."""

    complexity = "complexity"
    number_of_requests = "number_of_requests"


class CompellingGround(StrEnum):
    """On what a purpose may go on in spite of an objection (Art. 21(1) GDPR)."""

    legal_claims = "legal_claims"
    fraud_prevention = "fraud_prevention"
    security = "security"
    rights_of_others = "rights_of_others"


class Question(StrEnum):
    """What a person may have to decide; asked in the words of ``words.yaml``."""

    access_before_erasure = "access_before_erasure"
    several_accounts = "several_accounts"
    unclear_correction = "unclear_correction"


_FROM_DRP = {
    "no_match": RefusalReason.no_such_account,
    "insuf_verification": RefusalReason.insufficient_verification,
}
_TO_DRP = {
    RefusalReason.suspected_fraud: "suspected_fraud",
    RefusalReason.insufficient_verification: "insuf_verification",
    RefusalReason.no_such_account: "no_match",
    RefusalReason.claim_not_covered: "claim_not_covered",
    RefusalReason.outside_scope: "claim_not_covered",
    RefusalReason.not_eligible_purpose: "claim_not_covered",
    RefusalReason.law_requires_keeping: "claim_not_covered",
    RefusalReason.outside_jurisdiction: "outside_jurisdiction",
    RefusalReason.too_many_requests: "too_many_requests",
    RefusalReason.duplicate: "too_many_requests",
}
