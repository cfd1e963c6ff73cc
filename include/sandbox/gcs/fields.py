"""Partial responses: the ``fields`` parameter (``items(name,generation),nextPageToken``)."""

from __future__ import annotations

import re
from typing import Any

from include.sandbox.gcs.errors import ApiError

Selection = dict[str, Any]


def select(value: Any, expression: str) -> Any:
    """Keep only what the expression names; 400 when it cannot be read."""
    tokens = re.findall(r"[A-Za-z0-9_*-]+|[(),/]|\S", expression)
    selection, rest = _parse(tokens)
    if rest:
        raise ApiError(400, f"Invalid field selection {expression}", location="fields")
    return _apply(value, selection)


def _parse(tokens: list[str]) -> tuple[Selection, list[str]]:
    selection: Selection = {}
    while tokens and tokens[0] != ")":
        target = selection
        name, tokens = tokens[0], tokens[1:]
        while tokens and tokens[0] == "/":
            target = target.setdefault(name, {})
            name, tokens = tokens[1] if len(tokens) > 1 else "", tokens[2:]
        if not re.fullmatch(r"[A-Za-z0-9_*-]+", name):
            raise ApiError(400, f"Invalid field selection {name}", location="fields")
        inner: Selection = {}
        if tokens and tokens[0] == "(":
            inner, tokens = _parse(tokens[1:])
            if not tokens:
                raise ApiError(400, "Invalid field selection: a parenthesis is not closed", location="fields")
            tokens = tokens[1:]
        target.setdefault(name, {}).update(inner)
        if tokens and tokens[0] == ",":
            tokens = tokens[1:]
    return selection, tokens


def _apply(value: Any, selection: Selection) -> Any:
    if not selection:
        return value
    if isinstance(value, list):
        return [_apply(each, selection) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _apply(each, selection[name] if name in selection else selection["*"])
        for name, each in value.items()
        if name in selection or "*" in selection
    }
