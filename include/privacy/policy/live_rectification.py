"""Whether corrections can be written to the live columns: their types, lengths and our rights."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.live_schema import LiveColumn, LiveSchema
from include.privacy.policy.problems import Problem
from include.privacy.policy.rectification_validation import rectified_columns
from include.privacy.policy.rectify import Rectify

_TEXT = re.compile(r"(text|citext|character varying|character)(\((\d+)\))?")


def rectification_problems_live(
    db: DatabaseMap, live: LiveSchema, document: Document, fields: Container[str] | None = None
) -> Iterator[Problem]:
    """Columns of the fields (default: all) that cannot take a correction.

    Columns that are not there at all are reported by the comparison of the schema.
    """
    for (name, column), loc, table, _, rectify in rectified_columns(db):
        found = live.tables[name].columns.get(column) if name in live.tables else None
        if found is None or (fields is not None and rectify.field not in fields):
            continue
        if table.kind == "table" and not found.updatable:
            yield document.problem(
                loc, f"this role may not update {name}.{column}", "run the statements of `… grants`"
            )
        yield from _type_problems(rectify, found, document, loc)


def _type_problems(rectify: Rectify, found: LiveColumn, document: Document, loc: Loc) -> Iterator[Problem]:
    if rectify.key is not None:
        if found.type != "jsonb":
            yield document.problem(
                (*loc, "key"), f"the column is {found.type}, not jsonb", "remove `key:`, or make it jsonb"
            )
        return
    if rectify.format == "date" and found.type == "date":
        return
    text = _TEXT.fullmatch(found.type)
    if text is None:
        yield document.problem(
            loc,
            f"the column is {found.type}, and a correction of format {rectify.format} is text",
            "make it text (or a date, with format: date); for a document name the `key:`",
        )
    elif text[3] is not None and int(text[3]) < rectify.longest:
        yield document.problem(
            loc,
            f"the column takes {text[3]} characters, the field {rectify.longest}",
            f"write max_length: {text[3]} in all columns of {rectify.field}",
        )
