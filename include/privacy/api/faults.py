"""What is wrong with a message, field by field, in our own words and without what the field held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from include.privacy.requests.opening import MalformedRequestError
from include.privacy.requests.remote import RequestIdTakenError

INSTANT = "must be an instant with its zone, such as 2026-03-01T09:30:00Z"
_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "uuid_parsing": "must be a UUID",
    "uuid_type": "must be a UUID",
    "string_type": "must be a text",
    "string_too_long": "is too long",
    "string_too_short": "is too short",
    "string_pattern_mismatch": "does not have the form that is needed",
    "dict_type": "must be an object",
    "model_attributes_type": "must be an object",
    "json_invalid": "is not JSON",
    "extra_forbidden": "does not belong here",
}


class Fault(BaseModel):
    """One field and what is wrong with it."""

    field: str
    problem: str


class Faults(BaseModel):
    """Why a message was not taken."""

    detail: str
    errors: list[Fault] = []


def names_of(*models: type[BaseModel]) -> frozenset[str]:
    """Every field name of the models: the only parts of a message that an answer may repeat."""
    return frozenset(name for model in models for name in model.model_fields)


def unusable(names: frozenset[str]) -> Any:
    """A handler for messages that do not fit their model: 422. ``names`` as of :func:`names_of`."""

    async def handle(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [_fault(e, names) for e in error.errors()]
        return _answer(422, "the message is not usable", errors)

    return handle


async def malformed(_: Request, error: MalformedRequestError) -> JSONResponse:
    """The request cannot be taken in: 422. The message begins with the field."""
    return _answer(422, str(error), [])


async def taken(_: Request, error: RequestIdTakenError) -> JSONResponse:
    """The id belongs to another request: 409."""
    return _answer(409, str(error), [])


def _answer(status: int, detail: str, errors: Iterable[Fault]) -> JSONResponse:
    return JSONResponse(Faults(detail=detail, errors=list(errors)).model_dump(), status)


def _fault(error: Mapping[str, Any], names: frozenset[str]) -> Fault:
    kind, loc = str(error["type"]), error["loc"]
    if kind == "extra_forbidden" and loc[-1] not in names:
        # The name of a field is what the sender wrote, too.
        return Fault(field=_field(loc[:-1], names), problem="holds a field that is not known")
    return Fault(field=_field(loc, names), problem=_problem(kind, error.get("ctx") or {}))


def _field(loc: Sequence[int | str], names: frozenset[str]) -> str:
    parts = [str(part) for part in loc[1:] if part in names or isinstance(part, int)]
    return ".".join(parts) or "the body"


def _problem(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind.startswith(("datetime_", "timezone_")):
        return INSTANT
    return _WORDS.get(kind, f"is not usable ({kind})")
