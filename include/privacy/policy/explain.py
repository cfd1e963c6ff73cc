"""pydantic's complaints as problems: at a line, in plain words, with what to write instead."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from include.privacy.policy.data_map import IdentifierPath, KeyPath, ReferencePath
from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.problems import Problem

_PATHS = {m.__name__ for m in (KeyPath, ReferencePath, IdentifierPath)}
_KINDS = {"subject_lifecycle", "record_age", "object_age", "snapshot_age"}

_BASES = "consent, contract, legal_obligation, vital_interests, public_task or legitimate_interests"

# What to write, by field name; other fields are described by their type.
_EXAMPLES = {
    "action": "mark_deleted or purge",
    "at": "a fraction above 0 and up to 1, such as 0.75",
    "backup_of": "the store whose backups these are, e.g. accounts",
    "basis": _BASES,
    "business_days": "a whole number of days such as 14",
    "callback_hosts": "a list of hosts such as [dsr.partner.example], without scheme or path",
    "categories": "a list of fideslang data categories such as [user.name, user.contact.email]",
    "category": "a fideslang data category such as user.contact.email, or system.operations",
    "clock": "the timestamp column that the age is counted from",
    "clocks": "[policy_promise, gdpr] in a regime; {name: {law: …, months: 1}} where they are described",
    "closures": "a list of {day: 2026-12-24, reason: …} or {from: 2026-12-28, to: 2026-12-30, reason: …}",
    "columns": "the columns, e.g. [account_id], or {name: {category: …}} for a table",
    "connection": "the id of an Airflow connection",
    "country": 'a code of two letters such as DE, in quotes where YAML reads a word ("NO" is Norway)',
    "day": "a date such as 2026-12-24",
    "days": "a whole number of days such as 45",
    "default_regime": "the id of one of the regimes",
    "effective": "a date such as 2026-10-01",
    "enforced_by": "a rule id, a DAG id, {planned: dag_id} or {outside: who answers for it}",
    "erasure": "delete, or {anonymise: {column: {set: null}}} and/or {keep: {basis: …, reason: …, until: …}}",
    "from": "a date such as 2026-12-28",
    "guard": "{max_share: 0.05, max_count: 5000}",
    "history": "{field: email, rectified: delete} or {field: email, rectified: keep, reason: …}",
    "id": "a name in lower case with underscores",
    "key_date": "a strptime pattern such as backups/accounts/%Y-%m-%d/",
    "kind": "postgres, s3 or gcs for a store; rds or cloud_sql for snapshots; cloudwatch or cloud_logging "
    "for logs; subject_lifecycle, record_age, object_age or snapshot_age for a rule",
    "legal_basis": _BASES,
    "lifecycle": "{service_ended_at: column, deleted_at: column} for a root; manage or audit for backups",
    "limit_days": "a whole number of days above target_days",
    "looks_like": "{ip: why the values are no IP addresses}, or {free_text: who writes them}",
    "max_count": "a whole number above 0",
    "max_share": "a number above 0 and up to 1",
    "months": "a whole number of months such as 1",
    "pause": "{identity: restarts, clarification: days_added}, or leave it out where none is allowed",
    "objection": "stop, weigh or none; or leave it out: it follows from the legal basis",
    "optional": "true or false",
    "other_schemas": "{schema: why it holds nothing of people}",
    "of": "the roles whose data the column is, e.g. [mentor], or [staff]",
    "origin": "provided, observed or inferred",
    "path": "the column with the subject key, {columns: […], references: …} or {column: …, identifier: …}",
    "prefix": "folders ending in /, without a leading one; for content ending in {subject}/",
    "promise": "a promise id such as P4.2",
    "purposes": "a list of purpose keys from policy.yaml",
    "reader": "a database role in lower case such as platform_analytics",
    "reason": "a sentence that a lawyer would accept",
    "regimes": "{name: {clocks: […]}}",
    "reminders": "a list such as [{at: 0.75, to: [privacy_team]}]",
    "roles": "{privacy_team: {}}, or {privacy_team: {connection: …}} to say how it is told",
    "rectified": "keep or delete",
    "rectify": "{field: email, format: email}",
    "store": "a name in lower case with underscores",
    "subdivision": "a code such as BE for Berlin in DE, or leave it out",
    "subjects": "{role: {path: …, erasure: …}}",
    "target_days": "a whole number of days below limit_days",
    "to": "roles such as [privacy_team] for a reminder; a date such as 2026-12-30 for a closure",
    "until": "{column: issued_on, days: 3650}",
    "weekend": "the free weekdays, e.g. [saturday, sunday]",
}


def explain(error: ValidationError, document: Document, model: type[BaseModel]) -> Iterator[Problem]:
    """One problem per complaint. Values of the file are never repeated in the text."""
    for detail in error.errors(include_url=False, include_input=False, include_context=True):
        if _other_branch(detail["loc"], document.value):
            continue
        loc = _written_loc(detail["loc"], document.value)
        message, fix = _words(detail, loc, _fields_at(model, detail["loc"][:-1]))
        yield document.problem(loc, message, fix)


def _words(detail: ErrorDetails, loc: Loc, fields: list[str]) -> tuple[str, str]:
    kind, last = detail["type"], str(loc[-1]) if loc else ""
    example = _EXAMPLES.get(last)
    context = detail.get("ctx", {})
    if kind == "missing":
        return "is missing", f"add `{last}: …` with {example}" if example else f"add `{last}: …`"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(last, fields, n=1)
        known = f"known here: {', '.join(fields)}" if fields else "remove it"
        return "is not a known field", f"write `{near[0]}` instead" if near else f"remove it ({known})"
    if kind in {"literal_error", "union_tag_invalid"}:
        expected = str(context.get("expected") or context.get("expected_tags"))
        return "is not one of the allowed values", f"write one of {expected}"
    if kind == "union_tag_not_found":
        return "has no kind", f"add `kind:` with one of {', '.join(sorted(_KINDS))}"
    if kind == "value_error":
        return "does not hold together", str(context.get("error") or detail["msg"])
    wanted = detail["msg"][0].lower() + detail["msg"][1:]
    if kind == "string_pattern_mismatch":
        wanted = f"has the wrong form (pattern {context.get('pattern')})"
    if detail["loc"] and detail["loc"][-1] == "[key]":
        return f"the name {wanted}", "write a plain name; quote words such as on, off, yes, no and numbers"
    return wanted, f"write {example}" if example else "correct the value"


def _other_branch(loc: Loc, value: Any) -> bool:
    """Whether the complaint is about a kind of path that the author did not mean."""
    tag = next((part for part in loc if part in _PATHS), None)
    if tag is None:
        return False
    written: Any = value
    for part in loc[: loc.index(tag)]:
        written = cast(Any, written)[part] if isinstance(written, dict | list) else None
    if not isinstance(written, dict):
        return tag != KeyPath.__name__
    if "references" in written or "columns" in written or "key" in written:
        return tag != ReferencePath.__name__
    return tag != (IdentifierPath if "identifier" in written else KeyPath).__name__


def _written_loc(loc: Loc, value: Any) -> Loc:
    """The place in the file: pydantic adds names of union members, which nobody wrote."""
    written: list[str | int] = []
    for part in loc:
        inside = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if inside:
            written.append(part)
            value = value[part]
        elif part in _PATHS | _KINDS or (isinstance(part, str) and part.startswith("[")):
            continue
        elif isinstance(part, str) and isinstance(value, dict):
            written.append(part)
            value = None
    return tuple(written)


def _fields_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The fields that may be written at this place."""
    current: Any = model
    for part in loc:
        current = _inside(current, part)
    return [f.alias or name for name, f in current.model_fields.items()] if _is_model(current) else []


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _inside(annotation: Any, part: str | int) -> Any:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _inside(args[0], part)
    if origin in (Union, types.UnionType):
        members = [a for a in args if a is not type(None)]
        tagged = [m for m in members if _is_model(m) and (m.__name__ == part or part in _kind_of(m))]
        return (
            tagged[0] if tagged else next((r for m in members if (r := _inside(m, part)) is not None), None)
        )
    if _is_model(annotation):
        for name, info in annotation.model_fields.items():
            if part in (name, info.alias):
                return info.annotation
        return None
    if origin is dict:
        return args[1]
    if origin in (tuple, list):
        return args[0]
    return None


def _kind_of(model: type[BaseModel]) -> tuple[Any, ...]:
    info = model.model_fields.get("kind")
    return get_args(info.annotation) if info and get_origin(info.annotation) is Literal else ()
