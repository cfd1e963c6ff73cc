"""What ``settings`` of ``config/processors/sendgrid.yaml`` may say."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.privacy.policy.processors import ProcessorMap

GLOBAL = "global"
"""As the target of an objection: the list that stops everything."""
KINDS = {
    "contact": "contacts",
    "global_suppression": "global_suppressions",
    "group_suppression": "group_suppressions",
    "bounce": "bounces",
    "block": "blocks",
    "invalid_email": "invalid_emails",
    "spam_report": "spam_reports",
    "message": "messages",
}
"""Each kind of object with the name of its collection."""


class SendGridSettings(BaseModel):
    """``letters_from``: who sends our answers to requests; the last of them leaves after an erasure and is no
    residue of it. ``patience_days``: how long a job may take before it is shown as failed. ``at_once``:
    calls under way at a time where there is no batch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    letters_from: str
    calls_per_minute: Annotated[int, Field(ge=1, le=60_000)] = 600
    patience_days: Annotated[float, Field(gt=0)] = 3.0
    at_once: Annotated[int, Field(ge=1, le=32)] = 6

    @classmethod
    def of(cls, mapped: ProcessorMap) -> SendGridSettings:
        """Read and check. Raises ``ValueError`` that names what is wrong."""
        for purpose, group in mapped.objection.items():
            if group != GLOBAL and not group.isdigit():
                raise ValueError(
                    f"objection.{purpose} must be the id of a suppression group, or {GLOBAL!r}, in "
                    f"config/processors/{mapped.processor}.yaml"
                )
        for kind in mapped.keeps:
            if kind not in KINDS or kind in ("contact", "message"):
                raise ValueError(f"keeps.{kind} is no kind of suppression; choose from {', '.join(KINDS)}")
        try:
            return cls(**mapped.settings)
        except ValidationError as error:
            told = "; ".join(f"settings.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ValueError(f"{told}; correct config/processors/{mapped.processor}.yaml") from None
