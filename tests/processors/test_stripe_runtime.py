"""Stripe as a task gets it, and the people whom the stand-in knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.privacy.connections import ConnectionInfo, UnusableConnectionError
from include.privacy.processors.stripe.adapter import Stripe, rate
from include.privacy.processors.stripe.settings import Settings, settings_of
from include.privacy.runtime import Runtime, use_runtime
from include.privacy.steps.residue import residual_until
from include.privacy.stores.invoice_archive import InvoiceBucket
from tests.processors.stripe_account import KEY, Account, account, shipped

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def runtime(password: str = KEY, **extra: Any) -> Runtime:
    found = {"kms_key_id": "alias/k", "region_name": "eu-central-1", "endpoint_url": "http://127.0.0.1:9"}
    return Runtime(lambda name: ConnectionInfo(name, "generic", password=password, extra=found | extra))


def test_a_task_gets_the_adapter_with_the_archive_for_invoices() -> None:
    there = runtime()
    adapter = there.processor("stripe")
    assert isinstance(adapter, Stripe) and adapter is there.processor("stripe")
    assert isinstance(there.invoices(), InvoiceBucket)
    assert there.invoices()._prefix == "invoices/" and there.archives()._prefix == "archives/"


def test_what_the_connection_lacks_is_named() -> None:
    with pytest.raises(UnusableConnectionError, match="'stripe': password must be a key"):
        runtime(password="nothing").processor("stripe")
    with pytest.raises(UnusableConnectionError, match="kms_key_id"):
        runtime(kms_key_id=None).processor("stripe")


def test_the_shipped_settings_are_the_defaults_and_slower_in_test_mode_at_stripe_itself() -> None:
    settings = settings_of(shipped())
    assert settings == Settings()
    assert rate(settings, "rk_live_x", None) == 80 < 100
    assert rate(settings, "rk_test_x", None) == 20 < 25
    assert rate(settings, "rk_test_x", "http://127.0.0.1:1") == 80


def test_invoices_that_are_kept_for_years_are_no_residue_of_backups(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Bucket:
        def newest_capture(self, prefix: str) -> datetime:
            asked.append(prefix)
            return NOW

    with use_runtime(runtime()) as there:
        monkeypatch.setattr(there, "bucket", lambda name: Bucket())
        assert residual_until(NOW) == NOW + timedelta(days=180)
    assert "invoices/" not in asked and "archives/" in asked and len(asked) == 5


@pytest.fixture
def stripe(tmp_path: Path) -> Iterator[Account]:
    with account(tmp_path) as made:
        yield made


def people(count: int) -> list[dict[str, Any]]:
    issued = "2026-10-01T00:00:00+00:00"
    invoices = [
        {"number": "1", "amount_cents": 900, "currency": "EUR", "issued_at": issued, "paid_at": issued},
        {"number": "2", "amount_cents": 900, "currency": "EUR", "issued_at": issued, "paid_at": None},
    ]
    return [
        {
            "account_id": n, "email": f"p{n}@mail.example", "full_name": f"P {n}",
            "invoices": invoices[: n % 3],
            "created_at": "2024-01-01T00:00:00+00:00", "stripe_customer_id": f"cus_{n}" if n % 4 else None,
            "subscription": {"id": "s", "active": bool(n % 2)} if n % 5 else None,
        }
        for n in range(count)
    ]  # fmt: skip


def test_the_stand_in_knows_who_pays_the_same_at_every_seed(stripe: Account) -> None:
    stripe.standing.control.seed(people(400))
    first = stripe.state()
    stripe.standing.control.seed(people(400))
    assert stripe.state() == first
    known = [p["stripe_customer_id"] for p in people(400) if p["stripe_customer_id"]]
    stored = {c["id"] for c in first["customers"]}
    assert stored >= set(known) and "None" not in json.dumps(sorted(stored))
    lost = stored - set(known)
    assert 10 < len(lost) < 60 and all(c.endswith("x2") for c in lost)
    young = [c for c in first["charges"] if c["created"] > NOW.timestamp() - 90 * 86_400]
    assert 5 < len(young) < 80 and 3 < len(first["disputes"]) < 60
    assert {i["status"] for i in first["invoices"]} == {"paid", "open"}


def test_the_stand_in_refuses_a_wrong_key_unknown_settings_and_too_many_calls(
    stripe: Account,
) -> None:
    from include.sandbox.processors.exchange import Request

    answer = stripe.standing.stand_in.answer
    assert answer(Request.of("GET", "/v1/customers", {"Authorization": "Bearer x"})).status == 401
    with pytest.raises(ValueError, match="unknown settings speed"):
        stripe.standing.control.configure(speed=1)
    stripe.standing.control.configure(limit=1, per_seconds=3600)
    right = Request.of("GET", "/v1/customers", {"Authorization": f"Bearer {KEY}"})
    assert [answer(right).status for _ in range(2)] == [200, 429]
