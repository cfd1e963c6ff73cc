"""The query language of ``POST /v3/logs``: conditions on a few fields, joined by AND."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
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


@dataclass
class Query:
    """Conditions, and the categories that one of them asks for, by which messages are found quickly."""

    conditions: list[Condition] = field(default_factory=list)
    categories: set[str] | None = None


def parse_query(query: Any) -> Query:
    """What a query asks for. Raises :class:`BadRequestError` for what is none."""
    if not isinstance(query, str):
        raise BadRequestError("query must be a string", "query")
    parsed = Query()
    position = 0
    while query[position:].strip() or parsed.conditions:
        found = _CONDITION.match(query, position)
        if found is None:
            raise BadRequestError("the query cannot be parsed", "query")
        parsed.conditions.append(_condition(found))
        if found["field"] == "categories":
            parsed.categories = _values(found)
        joint = _AND.match(query, found.end())
        if joint is None:
            position = found.end()
            break
        position = joint.end()
    if query[position:].strip():
        raise BadRequestError("the query cannot be parsed", "query")
    return parsed


def matches(message: Any, query: Query) -> bool:
    """Whether a logged message meets all conditions."""
    return all(condition(message) for condition in query.conditions)


def _values(found: re.Match[str]) -> set[str]:
    return {text[1:-1] for text in re.findall(_TEXT, found["values"])}


def _condition(found: re.Match[str]) -> Condition:
    field = found["field"]
    if found["equal"] and field in _EQUAL:
        wanted = found["value"][1:-1]
        return lambda message: getattr(message, field, "") == wanted
    if found["values"] and field in _IN:
        values = _values(found)
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
