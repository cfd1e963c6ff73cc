"""PayPal's transaction search (reporting v1), and the payments of one subscription."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from include.sandbox.processors.exchange import Response
from include.sandbox.processors.paypal_objects import Objects, Refused

_KNOWN = frozenset(
    {
        "transaction_id",
        "transaction_type",
        "transaction_status",
        "transaction_amount",
        "transaction_currency",
        "start_date",
        "end_date",
        "payment_instrument_type",
        "store_id",
        "terminal_id",
        "fields",
        "balance_affecting_records_only",
        "page_size",
        "page",
    }
)


def list_transactions(
    objects: Objects, query: Mapping[str, str], *, now: datetime, lag_seconds: float, result_limit: int
) -> Response:
    """One page of a window. There is no filter by payer; what is younger than the lag is not there yet."""
    start, end = _time(query, "start_date"), _time(query, "end_date")
    refreshed = now - timedelta(seconds=lag_seconds)
    size, page = int(query.get("page_size", 100)), int(query.get("page", 1))
    if query.keys() - _KNOWN or not 1 <= size <= 500 or page < 1 or end < start:
        raise Refused(400, "INVALID_PARAMETER_VALUE")
    if end - start > timedelta(days=31):
        raise Refused(400, "DATE_RANGE_GREATER_THAN_31_DAYS")
    if start < now - timedelta(days=3 * 365 + 1):
        raise Refused(400, "START_DATE_OLDER_THAN_THREE_YEARS")
    if start > refreshed:
        # "Data for the given start date is not available": PayPal gives no issue for it.
        raise Refused(400)
    found = [t for t in objects.transactions if start <= _began(t) <= min(end, refreshed)]
    if len(found) > result_limit:
        raise Refused(400, name="RESULTSET_TOO_LARGE")
    shown = found[(page - 1) * size : page * size]
    if query.get("fields", "transaction_info") != "all":
        shown = [{"transaction_info": t["transaction_info"]} for t in shown]
    body: dict[str, Any] = {
        "account_number": "MERCHANT00001",
        "start_date": query["start_date"],
        "end_date": query["end_date"],
        "last_refreshed_datetime": written(refreshed),
        "page": page,
        "total_items": len(found),
        "total_pages": -(-len(found) // size),
    }
    # An empty list is not described: the field is left out then.
    return Response.of_json(body | ({"transaction_details": shown} if shown else {}))


def list_payments(objects: Objects, subscription_id: str, query: Mapping[str, str]) -> Response:
    """The payments of one subscription; these reach back as far as it does."""
    start, end = _time(query, "start_time"), _time(query, "end_time")
    found = []
    for each in objects.transactions:
        info, payer = each["transaction_info"], each["payer_info"]
        if info.get("paypal_reference_id") == subscription_id and start <= _began(each) <= end:
            found.append(
                {
                    "id": info["transaction_id"],
                    "status": "COMPLETED",
                    "amount_with_breakdown": {"gross_amount": info["transaction_amount"]},
                    "payer_name": {k: payer["payer_name"][k] for k in ("given_name", "surname")},
                    "payer_email": payer["email_address"],
                    "time": info["transaction_initiation_date"],
                }
            )
    return Response.of_json({"transactions": found})


def written(instant: datetime) -> str:
    """As PayPal writes times in reports."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _began(transaction: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(transaction["transaction_info"]["transaction_initiation_date"])


def _time(query: Mapping[str, str], name: str) -> datetime:
    try:
        found = datetime.fromisoformat(query.get(name, ""))
    except ValueError:
        raise Refused(400, "INVALID_PARAMETER_SYNTAX") from None
    if found.tzinfo is None:
        raise Refused(400, "INVALID_PARAMETER_SYNTAX")
    return found
