"""Judges calls and answers by Google's own discovery documents, which come with its client library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import googleapiclient

from tests.processors.standing import Exchange

DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"


def judge(document: str, said: Sequence[Exchange]) -> None:
    """Every call is a documented one, with documented parameters and fields; so are the answers' fields."""
    api = json.loads((DOCUMENTS / f"{document}.json").read_text())
    methods = [(_pattern(m), m) for m in _methods(api["resources"])]
    for exchange in said:
        request, response = exchange.request, exchange.response
        if response.status >= 400:
            continue
        method = next(
            (m for p, m in methods if m["httpMethod"] == request.method and p.fullmatch(request.path)), None
        )
        assert method, f"{request.method} {request.path} is no method of {document}"
        unknown = set(request.query) - set(method["parameters"])
        assert not unknown, f"{method['id']}: unknown parameters {unknown}"
        if request.body and request.body != b"null":
            _fields(api, method["request"]["$ref"], request.json(), method["id"])
        _fields(api, method["response"]["$ref"], json.loads(response.body), method["id"])


def _methods(resources: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in resources.values():
        yield from resource.get("methods", {}).values()
        yield from _methods(resource.get("resources", {}))


def _pattern(method: dict[str, Any]) -> re.Pattern[str]:
    """``{+name}`` stands for several segments, and the parameter has a pattern of its own."""
    text = "/" + method.get("flatPath", method["path"])
    return re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(text)))


def _fields(api: dict[str, Any], name: str, value: dict[str, Any], where: str) -> None:
    known = api["schemas"][name]["properties"]
    for field, inner in value.items():
        assert field in known, f"{where}: {name} has no field {field}"
        described = known[field]
        if "enum" in described:
            assert inner in described["enum"], f"{where}: {name}.{field} is never {inner!r}"
        for each in inner if isinstance(inner, list) else [inner]:
            reference = described.get("$ref") or described.get("items", {}).get("$ref")
            if reference and isinstance(each, dict):
                _fields(api, reference, each, where)
