"""The settings of ``config/processors/paypal.yaml``, and what may be stopped there for a purpose."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.privacy.policy.processors import ProcessorMap

PAYMENT_TOKEN = "payment_token"  # noqa: S105 - a kind of object
SUBSCRIPTION = "subscription"
INVOICE = "invoice"
TRANSACTION = "transaction"
PAYER = "payer"
STOPPABLE = (SUBSCRIPTION, PAYMENT_TOKEN)
KEPT = (SUBSCRIPTION, INVOICE, TRANSACTION)


class Settings(BaseModel):
    """What the adapter alone understands.

    ``calls_per_minute``: PayPal publishes no limit, so this is ours. ``days_back``: how far transactions
    are searched; PayPal answers for three years. ``vault_customer``: the identifier under which we keep
    customers in the vault. ``suspend_when_restricted``: whether a restriction also suspends payments.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    calls_per_minute: Annotated[int, Field(gt=0, le=6_000)] = 600
    at_once: Annotated[int, Field(ge=1, le=16)] = 4
    days_back: Annotated[int, Field(ge=1, le=1_095)] = 1_095
    vault_customer: str = "paypal_payer_id"
    suspend_when_restricted: bool = False


def settings_of(mapped: ProcessorMap) -> Settings:
    """The settings of the map. ``ValueError`` names the field that is wrong."""
    try:
        settings = Settings.model_validate(mapped.settings)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise ValueError(f"settings.{field} of processor {mapped.processor!r}: {first['msg']}") from None
    if settings.vault_customer not in mapped.identifiers:
        raise ValueError(f"settings.vault_customer of processor {mapped.processor!r} is none of identifiers")
    for purpose, stopped in mapped.objection.items():
        if not set(stopped.split("+")) <= set(STOPPABLE):
            raise ValueError(f"objection.{purpose}: write {' or '.join(STOPPABLE)}, or both joined by +")
    for kind in mapped.keeps:
        if kind not in KEPT:
            raise ValueError(f"keeps.{kind}: PayPal has {', '.join(KEPT)} that may be kept")
    return settings
