"""What ``settings`` of ``config/processors/postmark.yaml`` may say."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.privacy.policy.processors import ProcessorMap

KINDS = {
    "message": "messages",
    "open": "opens",
    "click": "clicks",
    "bounce": "bounces",
    "hard_bounce_suppression": "suppressions",
    "opt_out": "suppressions",
    "spam_complaint": "suppressions",
}
"""Each kind of object with the name of its collection."""
SUPPRESSIONS = {
    "HardBounce": "hard_bounce_suppression",
    "ManualSuppression": "opt_out",
    "SpamComplaint": "spam_complaint",
}
"""Postmark's reasons, and the kind that each makes."""
_STREAM = re.compile(r"[a-z0-9][a-z0-9_-]*")


class PostmarkSettings(BaseModel):
    """``requested_by``: the address of a user of our Postmark account, in whose name removals are asked for.
    ``retention_days``: how long messages are kept (45, or what the retention add-on says).
    ``patience_days``: how long a removal may take before it is shown as failed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requested_by: Annotated[str, Field(pattern=r"^[^\s@]+@[^\s@]+$")]
    retention_days: Annotated[int, Field(ge=1, le=365)] = 45
    calls_per_minute: Annotated[int, Field(ge=1, le=60_000)] = 300
    patience_days: Annotated[float, Field(gt=0)] = 14.0
    at_once: Annotated[int, Field(ge=1, le=32)] = 4

    @classmethod
    def of(cls, mapped: ProcessorMap) -> PostmarkSettings:
        """Read and check. Raises ``ValueError`` that names what is wrong."""
        where = f"config/processors/{mapped.processor}.yaml"
        for purpose in mapped.objection:
            if not all(_STREAM.fullmatch(each) for each in streams_of(mapped, purpose)):
                raise ValueError(
                    f"objection.{purpose} must be ids of message streams, with commas, in {where}"
                )
        for kind in mapped.keeps:
            if kind not in SUPPRESSIONS.values():
                raise ValueError(f"keeps.{kind} is none of {', '.join(SUPPRESSIONS.values())}, in {where}")
        try:
            return cls(**mapped.settings)
        except ValidationError as error:
            told = "; ".join(f"settings.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ValueError(f"{told}; correct {where}") from None


def streams_of(mapped: ProcessorMap, purpose: str) -> tuple[str, ...]:
    """The streams that an objection to the purpose stops."""
    text = mapped.objection.get(purpose, "")
    return tuple(each.strip() for each in text.split(",")) if text else ()
