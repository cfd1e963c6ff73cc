"""The platform's people as the processors know them: read from its database, told to every stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from include.sandbox.processors.control import ProcessorControl

if TYPE_CHECKING:
    from include.sandbox.world import World

BATCH = 2_000


def seed_processors(world: World) -> int:
    """Tell every stand-in who there is; returns how many people."""
    told = 0
    for people in _batches(world.dsn("accounts")):
        for endpoint in world.processor_endpoints.values():
            ProcessorControl(endpoint).seed(people)
        told += len(people)
    return told


def platform_people(dsn: str, account_id: int | None = None) -> Iterator[dict[str, Any]]:
    """Everybody in the accounts database, or one of them, as JSON-able values.

    ``account_id``, ``email``, ``former_emails``, ``full_name``, ``locale``, ``created_at``,
    ``newsletter`` (subscribed or not), ``stripe_customer_id``, ``paypal_payer_id`` (either may be
    ``None``), ``subscription`` (id at the gateway and whether it is active, or ``None``), and
    ``invoices``: ``number``, ``amount_cents``, ``currency``, ``issued_at``, ``paid_at``. Times are ISO 8601.
    """
    with psycopg.connect(dsn, row_factory=dict_row) as accounts, accounts.cursor("people") as cursor:
        cursor.itersize = BATCH
        cursor.execute(_PEOPLE, {"account": account_id})
        for row in cursor:
            yield row["person"]


def _batches(dsn: str) -> Iterator[list[dict[str, Any]]]:
    people = platform_people(dsn)
    while batch := [person for person, _ in zip(people, range(BATCH), strict=False)]:
        yield batch


_PEOPLE = """
SELECT jsonb_build_object(
    'account_id', a.id, 'email', a.email, 'full_name', a.full_name, 'locale', a.locale,
    'created_at', a.created_at,
    'former_emails',
    coalesce((SELECT jsonb_agg(f.email) FROM former_emails f WHERE f.account_id = a.id), '[]'),
    'newsletter', EXISTS (SELECT FROM newsletter_subscribers n WHERE n.email = a.email),
    'stripe_customer_id', g.stripe_customer_id, 'paypal_payer_id', g.paypal_payer_id,
    'subscription', (SELECT jsonb_build_object('id', s.gateway_subscription_id, 'active', s.status = 'active')
                     FROM subscriptions s WHERE s.account_id = a.id ORDER BY s.id LIMIT 1),
    'invoices', coalesce((SELECT jsonb_agg(jsonb_build_object(
                              'number', i.number, 'amount_cents', i.amount_cents, 'currency', i.currency,
                              'issued_at', i.issued_at, 'paid_at', i.paid_at) ORDER BY i.id)
                          FROM invoices i WHERE i.account_id = a.id), '[]')) AS person
FROM accounts a LEFT JOIN gateway_customers g ON g.account_id = a.id
WHERE %(account)s::bigint IS NULL OR a.id = %(account)s ORDER BY a.id
"""
