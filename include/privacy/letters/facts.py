"""What a caller must know to write each kind of letter: one closed model per kind.

Values may be personal (an explanation, a question); they are sealed where they are kept, and no error
repeats them. Dates are the company's calendar days, instants carry a time zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    Field,
    ValidationError,
    model_validator,
)

from include.privacy.letters.kinds import (
    Facts,
    FactsError,
    Ground,
    Label,
    Labels,
    LetterKind,
    Model,
    Prose,
)
from include.privacy.letters.reasons import CompellingGround, ExtensionReason, Question, RefusalReason
from include.privacy.policy.letters import HttpsUrl


class Received(Facts):
    """Acknowledgement, at once. ``verified``: identity is established already, nothing is to do."""

    kind = LetterKind.received
    due_on: date
    verified: bool
    status_url: HttpsUrl | None = None


class Verify(Facts):
    """The one-time link. Without confirmation by ``due_on`` the request is refused."""

    kind = LetterKind.verify
    link: HttpsUrl
    link_expires_at: AwareDatetime
    due_on: date


class Ready(Facts):
    """An archive waits; the app shows its passphrase. ``redacted``: other people's data were taken out."""

    kind = LetterKind.ready
    right: Literal["access", "portability"]
    download_url: HttpsUrl
    available_until: AwareDatetime
    redacted: bool = False


class Extended(Facts):
    """A later due date, once, with reasons (Art. 12(3) GDPR); ``explanation`` says more than the code."""

    kind = LetterKind.extended
    original_due_on: date
    due_on: date
    reason: ExtensionReason
    explanation: Prose | None = None

    @model_validator(mode="after")
    def _later(self) -> Extended:
        if self.due_on <= self.original_due_on:
            raise ValueError("due_on must be after original_due_on")
        return self


class Refused(Facts):
    """Reason and both remedies (Art. 12(4) GDPR); ``explanation`` says what is particular to the case."""

    kind = LetterKind.refused
    reason: RefusalReason
    explanation: Prose | None = None

    @model_validator(mode="after")
    def _explained(self) -> Refused:
        if self.reason.needs_explanation and not self.explanation:
            raise ValueError(f"explanation must say why a request is refused as {self.reason.value}")
        return self


class Kept(Model):
    """Something that stays after an erasure. ``until`` is ``None`` only where no single day can be named."""

    what: Label
    ground: Ground
    why: Prose | None = None
    until: date | None


class Independent(Model):
    """A recipient who decides for itself (PayPal): the person may have to ask there as well."""

    name: Label
    url: HttpsUrl | None = None


class Completed(Facts):
    """The erasure is done: what is kept and why, and until when backups may hold the person.

    ``told``: recipients who have erased. ``record_until``: how long our record of the request is kept.
    ``certified``: a signed certificate waits with the answer.
    """

    kind = LetterKind.completed
    right: Literal["erasure"] = "erasure"
    completed_on: date
    kept: tuple[Kept, ...] = ()
    residual_until: date | None = None
    told: Labels = ()
    independent: tuple[Independent, ...] = ()
    record_until: date
    certified: bool = False


class Waiting(Model):
    """A recipient that is not done yet. ``until``: the day by which it can be, where that is known."""

    name: Label
    until: date | None = None


class RecipientsPending(Facts):
    """Done in our systems, within the time that the law gives; these recipients still are at work."""

    kind = LetterKind.recipients_pending
    right: Literal["erasure"] = "erasure"
    erased_on: date
    waiting: Annotated[tuple[Waiting, ...], Field(min_length=1)]
    kept: tuple[Kept, ...] = ()
    residual_until: date | None = None
    independent: tuple[Independent, ...] = ()


class Unchanged(Model):
    """A value that was not corrected, and why."""

    what: Label
    why: Prose


class Corrected(Facts):
    """Which fields are corrected (never their values), which are not, who was told."""

    kind = LetterKind.corrected
    right: Literal["rectification"] = "rectification"
    corrected: Labels
    unchanged: tuple[Unchanged, ...] = ()
    told: Labels = ()

    @model_validator(mode="after")
    def _something(self) -> Corrected:
        if not (self.corrected or self.unchanged):
            raise ValueError("corrected and unchanged are both empty; name the fields")
        return self


class ObjectionReceived(Facts):
    """Purposes that stop for good at once, and those restricted until they have been weighed."""

    kind = LetterKind.objection_received
    right: Literal["objection"] = "objection"
    stopped: Labels = ()
    restricted: Labels = ()
    due_on: date

    @model_validator(mode="after")
    def _something(self) -> ObjectionReceived:
        if not (self.stopped or self.restricted):
            raise ValueError("stopped and restricted are both empty; name the purposes")
        return self


class Continued(Model):
    """A purpose that goes on despite the objection, and the compelling grounds: a code, words, or both."""

    purpose: Label
    grounds: CompellingGround | None = None
    why: Prose | None = None

    @model_validator(mode="after")
    def _with_grounds(self) -> Continued:
        if self.grounds is None and self.why is None:
            raise ValueError("say why the purpose goes on: grounds or why")
        return self


class ObjectionDecided(Facts):
    """The decision per purpose. ``restriction_ends_on``: when the restriction of the continued ones ends."""

    kind = LetterKind.objection_decided
    right: Literal["objection"] = "objection"
    stopped: Labels = ()
    continued: tuple[Continued, ...] = ()
    restriction_ends_on: date | None = None

    @model_validator(mode="after")
    def _told_before(self) -> ObjectionDecided:
        if not (self.stopped or self.continued):
            raise ValueError("stopped and continued are both empty; name the purposes")
        if bool(self.continued) != (self.restriction_ends_on is not None):
            raise ValueError("restriction_ends_on goes with continued: who is told must know from when")
        return self


class RestrictionLifted(Facts):
    """Sent *before* a restriction ends (Art. 18(3) GDPR)."""

    kind = LetterKind.restriction_lifted
    right: Literal["rectification", "objection"]
    lifted_on: date
    what: Annotated[Labels, Field(min_length=1)]
    why: Prose


class Withdrawn(Facts):
    """The person took the request back; ``already_done`` is what could not be undone."""

    kind = LetterKind.withdrawn
    withdrawn_on: date
    already_done: Prose | None = None


class Expired(Facts):
    """The request ended without the person: no answer to a question, or the archive was not fetched."""

    kind = LetterKind.expired
    because: Literal["no_answer", "not_collected"]
    expired_on: date


class DecisionNeeded(Facts):
    """A question that only the person can answer, and what happens if they do not."""

    kind = LetterKind.decision_needed
    question: Question
    detail: Prose | None = None
    answer_url: HttpsUrl
    answer_by: date


FACTS: Mapping[LetterKind, type[Facts]] = {model.kind: model for model in Facts.__subclasses__()}


def facts_of(kind: LetterKind | str, given: Mapping[str, Any] | Facts) -> Facts:
    """The facts as the model of that kind. Raises :class:`FactsError`."""
    try:
        model = FACTS[LetterKind(kind)]
    except ValueError:
        raise FactsError(f"there is no letter {str(kind)!r}; write one of {', '.join(LetterKind)}") from None
    if isinstance(given, Facts):
        if type(given) is not model:
            raise FactsError(f"a letter {kind} is written from {model.__name__}, not {type(given).__name__}")
        return given
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise FactsError(f"a letter {kind} cannot be written: {'; '.join(_complaints(error))}") from None


def _complaints(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [f"{'.'.join(map(str, detail['loc'])) or 'facts'}: {detail['msg']}" for detail in found]
