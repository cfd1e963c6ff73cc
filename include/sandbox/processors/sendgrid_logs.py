"""The query language of ``POST /v3/logs``: conditions on a few fields, joined by AND."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from include.sandbox.processors.sendgrid_checks import BadRequestError

_EQUAL = {"sg_message_id", "subject", "to_email", "reason"}
_IN = {"status", "categories"}
_TIME = "sg_message_id_created_at"
_TEXT = r"""(?:'[^']*'|"[^"]*")"""
_CONDITION = re.compile(
    rf"\s*(?P<field>\w+)\s*(?:(?P<equal>=)\s*(?P<value>{_TEXT})"
    rf"|IN\s*\((?P<values>\s*{_TEXT}(?:\s*,\s*{_TEXT})*\s*)\)"
    rf"|(?P<order>>=|<=|>|<)\s*TIMESTAMP\s+(?P<instant>{_TEXT}))\s*",
    re.IGNORECASE,
)
_AND = re.compile(r"AND\b", re.IGNORECASE)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
Condition = Callable[[Any], bool]


def parse_query(query: Any) -> list[Condition]:
    """The conditions of a query. Raises :class:`BadRequestError` for what is none."""
    if not isinstance(query, str):
        raise BadRequestError("query must be a string", "query")
    conditions: list[Condition] = []
    position = 0
    while query[position:].strip() or conditions:
        found = _CONDITION.match(query, position)
        if found is None:
            raise BadRequestError("the query cannot be parsed", "query")
        conditions.append(_condition(found))
        joint = _AND.match(query, found.end())
        if joint is None:
            position = found.end()
            break
        position = joint.end()
    if query[position:].strip():
        raise BadRequestError("the query cannot be parsed", "query")
    return conditions


def matches(message: Any, conditions: list[Condition]) -> bool:
    """Whether a logged message meets them all."""
    return all(condition(message) for condition in conditions)


def _condition(found: re.Match[str]) -> Condition:
    field = found["field"]
    if found["equal"] and field in _EQUAL:
        wanted = found["value"][1:-1]
        return lambda message: getattr(message, field, "") == wanted
    if found["values"] and field in _IN:
        values = {text[1:-1] for text in re.findall(_TEXT, found["values"])}
        if field == "status":
            return lambda message: message.status in values
        return lambda message: bool(values & set(message.categories))
    if found["order"] and field == _TIME:
        try:
            instant = datetime.fromisoformat(found["instant"][1:-1])
        except ValueError:
            raise BadRequestError("a timestamp is not ISO 8601", "query") from None
        if instant.tzinfo is None:
            raise BadRequestError("a timestamp has no zone", "query")
        order = _ORDERS[found["order"]]
        return lambda message: order(message.created_at, instant)
    raise BadRequestError(f"{field} does not take this operator", "query")
