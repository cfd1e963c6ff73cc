"""What all letters have in common: their kinds, and the shape of the facts that they are written from."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from include.privacy.letters.letter import plain
from include.privacy.policy.data_map import LegalBasis

Right = Literal["access", "portability", "erasure", "rectification", "objection"]
Ground = LegalBasis | Literal["legal_claims", "objection_record"]
"""Why something is kept: a legal basis, Art. 17(3)(e), or so that an objection stays honoured."""

Label = Annotated[
    str, AfterValidator(lambda text: " ".join(plain(text).split())), Field(min_length=1, max_length=300)
]
Prose = Annotated[str, AfterValidator(plain), Field(min_length=1, max_length=8000)]
Labels = tuple[Label, ...]


class LetterKind(StrEnum):
    """Every letter there is; the templates are named after them."""

    received = "received"
    verify = "verify"
    ready = "ready"
    extended = "extended"
    refused = "refused"
    completed = "completed"
    recipients_pending = "recipients_pending"
    corrected = "corrected"
    objection_received = "objection_received"
    objection_decided = "objection_decided"
    restriction_lifted = "restriction_lifted"
    withdrawn = "withdrawn"
    expired = "expired"
    decision_needed = "decision_needed"


class FactsError(ValueError):
    """A letter cannot be written from what was given; names fields, never values."""


class Model(BaseModel):
    """Closed, frozen, and silent about its values."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    __str__ = __repr__


class Facts(Model):
    """In every letter: the reference that the person may quote, the right, the day the request came."""

    kind: ClassVar[LetterKind]

    reference: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{2,63}$")]
    right: Right
    received_on: date
