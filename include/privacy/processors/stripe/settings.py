"""``settings`` of ``config/processors/stripe.yaml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.privacy.policy.processors import ProcessorMap

Stop = Literal["flag", "cancel_subscriptions", "manual"]
"""What an objection does at Stripe, which knows no opt-out of its own."""
STOPS: tuple[Stop, ...] = ("flag", "cancel_subscriptions", "manual")


class Settings(BaseModel):
    """``redaction_version``: the preview of Stripe's API that has redaction jobs.

    ``young_days``: how old a transaction must be before Stripe redacts it
    (https://docs.stripe.com/privacy/deletion-requests). ``dispute_look_again_hours``: how often an
    open dispute is looked at. ``calls_per_second``: Stripe allows 100 in live mode, 25 in test mode, where
    ``test_calls_per_second`` applies. ``open_invoices``: what becomes of a debt when the person is
    erased, since only what is settled can be redacted: given up, or written off and kept in the books.
    ``flag``: the key of a customer's metadata that says *restricted*.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    redaction_version: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}\.\w+$")] = "2026-09-30.preview"
    young_days: Annotated[int, Field(ge=0)] = 90
    dispute_look_again_hours: Annotated[int, Field(ge=1)] = 24
    calls_per_second: Annotated[int, Field(ge=1)] = 80
    test_calls_per_second: Annotated[int, Field(ge=1)] = 20
    open_invoices: Literal["void", "uncollectible"] = "void"
    at_once: Annotated[int, Field(ge=1, le=32)] = 8
    timeout_seconds: Annotated[float, Field(gt=0)] = 20.0
    flag: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = "processing_restricted"


def settings_of(mapped: ProcessorMap) -> Settings:
    """The settings; ``ValueError`` names the field that is wrong."""
    try:
        made = Settings.model_validate(mapped.settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"config/processors/stripe.yaml: settings.{where}: {first['msg']}") from None
    for purpose, stop in mapped.objection.items():
        if stop not in STOPS:
            raise ValueError(
                f"config/processors/stripe.yaml: objection.{purpose}: write one of {', '.join(STOPS)}"
            )
    return made
