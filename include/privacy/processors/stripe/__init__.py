"""Stripe (P5.1): customers with all that is theirs, redaction jobs where the account has them.

Inside this package ``import stripe`` is Stripe's own client: imports are absolute.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from include.privacy.connections import ConnectionInfo
from include.privacy.policy.processors import ProcessorMap

if TYPE_CHECKING:
    from include.privacy.processors.pacing import Pace
    from include.privacy.processors.protocol import Processor
    from include.privacy.processors.stripe.invoices import InvoiceArchive

_KEY = re.compile(r"(sk|rk)_(live|test)_\S+")


def connect(
    mapped: ProcessorMap,
    info: ConnectionInfo,
    endpoint_url: str | None,
    *,
    invoices: InvoiceArchive,
    pace: Pace | None = None,
) -> Processor:
    """The adapter. ``info.password``: a restricted or secret key. Raises ``ValueError`` with what to fix."""
    from include.privacy.processors.pacing import Pace
    from include.privacy.processors.stripe.adapter import Stripe, rate, time_out
    from include.privacy.processors.stripe.client import ENDPOINT, Calls
    from include.privacy.processors.stripe.settings import settings_of

    settings = settings_of(mapped)
    key = info.password or ""
    if not _KEY.fullmatch(key):
        raise ValueError("password must be a key of Stripe's: rk_live_… (restricted, better) or sk_live_…")
    calls = Calls(
        key,
        endpoint_url or ENDPOINT,
        pace or Pace(rate(settings, key, endpoint_url), 1.0),
        timeout=time_out(settings),
        at_once=settings.at_once,
    )
    return Stripe(mapped, settings, calls, invoices)
