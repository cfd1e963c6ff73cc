"""The correction of one person at PayPal."""

from __future__ import annotations

from collections.abc import Mapping

from include.privacy.processors.paypal.client import UNSENT, Client
from include.privacy.processors.paypal.drafts import corrected
from include.privacy.processors.paypal.holdings import Holdings
from include.privacy.processors.paypal.settings import INVOICE, PAYER
from include.privacy.processors.protocol import ObjectOutcome, Person, Report, State

FIELDS = ("email", "full_name")
PAYER_CORRECTS = "payer_corrects"
"""The person corrects it in their own PayPal account; an issued invoice is corrected by a new one."""


def rectify_one(
    client: Client, person: Person, held: Holdings, values: Mapping[str, str], *, known: bool
) -> Report:
    """Put drafts right; anything else that is held, or ``known`` to be, is ``manual``.

    Raises what the client raises.
    """
    emails = {e.casefold() for e in (*person.emails, values.get("email", "")) if e}
    drafts = 0
    for invoice in held.invoices:
        if invoice.get("status") not in UNSENT:
            continue
        whole = client.invoice(str(invoice["id"]))
        if whole is None:
            continue
        body = corrected(whole, emails, values)
        if body is not None:
            client.replace_invoice(str(invoice["id"]), body)
        drafts += 1
    outcomes = [ObjectOutcome(INVOICE, State.corrected, drafts)] if drafts else []
    if held.beyond_us or known:
        outcomes.append(ObjectOutcome(PAYER, State.manual, code=PAYER_CORRECTS))
    return Report(person.reference, tuple(outcomes or [ObjectOutcome(PAYER, State.not_held)]))
