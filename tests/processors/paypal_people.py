"""PayPal's stand-in with people in it, and an adapter that neither pauses nor waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from include.privacy.connections import ConnectionInfo
from include.privacy.policy.loading import load_config
from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.paypal import PayPal, connect
from include.privacy.processors.protocol import Person
from include.sandbox.processors import PAYPAL_CLIENT
from tests.processors.standing import Standing, standing

AS_OF = datetime(2026, 11, 25, 10, tzinfo=UTC)
SECRET = "EAsecretOfTheStandIn"
_made: list[PayPal] = []
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def payer_id(number: int) -> str:
    """A payer id as PayPal writes them."""
    digits = ""
    while number:
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits.rjust(13, "P")


def email(number: int) -> str:
    """The address of a person of these tests."""
    return f"person{number}@people.example"


def platform_person(number: int, **changes: Any) -> dict[str, Any]:
    """One of the platform's people as :mod:`include.sandbox.processors.seeding` tells them.

    Divisible by 2: has a draft; by 3: an unpaid invoice and one payment method, rest 1: two, rest 2: seven.
    """
    invoices = [
        {
            "number": f"PE-{number:05d}{n}",
            "amount_cents": 1900,
            "currency": "EUR",
            "issued_at": (AS_OF - timedelta(days=40 + 300 * n)).isoformat(),
            "paid_at": (AS_OF - timedelta(days=40 + 300 * n - 1)).isoformat(),
        }
        for n in range(3)
    ]
    return {
        "account_id": number,
        "email": email(number),
        "full_name": f"Given{number} Family{number}",
        "former_emails": [],
        "created_at": (AS_OF - timedelta(days=900)).isoformat(),
        "stripe_customer_id": None,
        "paypal_payer_id": payer_id(number),
        "subscription": {"id": f"sub_{number}", "active": True},
        "invoices": invoices,
    } | changes


def person(number: int, **changes: Any) -> Person:
    """The same person as a request knows them."""
    values = {
        "emails": (email(number),),
        "ids": {"paypal_payer_id": (payer_id(number),), "gateway_subscription_id": (f"sub_{number}",)},
    }
    return Person(f"r-{number}", **(values | changes))


@cache
def shipped() -> ProcessorMap:
    """The map in ``config/``."""
    return load_config().processors["paypal"]


def mapped(**changes: Any) -> ProcessorMap:
    """The shipped map, with changes."""
    return shipped().model_copy(update=changes)


def adapter(endpoint: str, *, secret: str = SECRET, timeout: float = 20.0, **changes: Any) -> PayPal:
    """An adapter at that endpoint."""
    changed = mapped(**changes)
    fast = changed.model_copy(update={"settings": {**changed.settings, "calls_per_minute": 6_000}})
    info = ConnectionInfo("paypal", "generic", login=PAYPAL_CLIENT, password=secret)
    made = connect(
        fast,
        info,
        endpoint,
        timeout=timedelta(seconds=timeout),
        sleep=lambda seconds: None,
        now=lambda: AS_OF,
    )
    _made.append(made)
    return made


@contextmanager
def paypal(folder: Path, people: int = 0) -> Iterator[Standing]:
    """The stand-in at the time of these tests, knowing so many people, numbered from 1."""
    with standing("paypal", folder, SECRET) as stand_in:
        stand_in.control.configure(now=AS_OF.isoformat())
        if people:
            stand_in.control.seed([platform_person(n) for n in range(1, people + 1)])
        yield stand_in
    while _made:
        _made.pop().close()


def of(state: dict[str, Any], number: int) -> dict[str, Any]:
    """The part of the stand-in's state that is about one person."""
    return {
        "payment_tokens": [
            t for t in state["payment_tokens"].values() if t["customer"]["id"] == payer_id(number)
        ],
        "subscriptions": [
            s for s in state["subscriptions"].values() if s["subscriber"]["payer_id"] == payer_id(number)
        ],
        "invoices": [
            i
            for i in state["invoices"].values()
            if any(r["billing_info"]["email_address"] == email(number) for r in i["primary_recipients"])
        ],
        "transactions": [
            t for t in state["transactions"] if t["payer_info"]["account_id"] == payer_id(number)
        ],
    }
