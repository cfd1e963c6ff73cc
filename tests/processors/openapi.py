"""A strict judge over the processors' published API descriptions: unknown fields and parameters are wrong."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from include.privacy.policy.loading import ROOT
from tests.processors.standing import Exchange

SPECS = ROOT.parent / "shared" / "specs"
_METHODS = ("get", "post", "put", "patch", "delete")


def needs(*names: str) -> pytest.MarkDecorator:
    """Skips, visibly, where the descriptions are not at hand: they are not part of the repository."""
    missing = [name for name in names if not (SPECS / name).exists()]
    return pytest.mark.skipif(
        bool(missing), reason=f"no API description {', '.join(missing)} in ../shared/specs"
    )


class Description:
    """One OpenAPI 3 document, closed. ``patch`` puts known defects right, each with its reason there.

    ``base`` is the part of every path that the document leaves to its server's URL.
    """

    def __init__(
        self, name: str, patch: Callable[[dict[str, Any]], None] | None = None, *, base: str = ""
    ) -> None:
        self._document: dict[str, Any] = json.loads((SPECS / name).read_text())
        if patch:
            patch(self._document)
        _close(self._document)
        self._paths = [(_pattern(base + path), item) for path, item in self._document["paths"].items()]

    def knows(self, exchange: Exchange) -> bool:
        """Whether the document describes the call."""
        return self._operation(exchange) is not None

    def judge(self, exchange: Exchange) -> Iterator[str]:
        """Everything in one exchange that is not as described."""
        request, response = exchange.request, exchange.response
        name = f"{request.method} {request.path}"
        operation = self._operation(exchange)
        if operation is None:
            yield f"{name}: not described"
            return
        parameters = {
            (p["in"], p["name"]): p
            for p in map(self._resolve, [*operation.get("parameters", []), *operation["__shared"]])
        }
        for query in request.query:
            if ("query", query) not in parameters:
                yield f"{name}: unknown query parameter {query}"
        for (place, query), parameter in parameters.items():
            if place == "query" and parameter.get("required") and query not in request.query:
                yield f"{name}: query parameter {query} is missing"
        body = self.schema(operation["requestBody"]) if "requestBody" in operation else None
        if request.body and body is None:
            yield f"{name}: no body is described"
        elif request.body:
            yield from (f"{name}: request {p}" for p in self.problems(self.decoded(exchange), body))
        status = str(response.status)
        answers = operation["responses"]
        answer = answers.get(status, answers.get(f"{status[0]}XX", answers.get("default")))
        if answer is None:
            yield f"{name}: {status} is no described answer"
            return
        described = self.schema(answer)
        if described is not None and response.body:
            found = self.problems(json.loads(response.body), described)
            yield from (f"{name}: {status} {p}" for p in found)
        elif described is None and response.body:
            yield f"{name}: {status} has no described body"

    def decoded(self, exchange: Exchange) -> Any:
        """The body as a value; forms are for whoever has them to decode."""
        return exchange.request.json()

    def problems(self, value: Any, schema: Mapping[str, Any]) -> list[str]:
        """What the schema does not allow in the value."""
        whole = copy.copy(dict(schema)) | {"components": self._document.get("components", {})}
        found = Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value)
        return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in found]

    def schema(self, node: Mapping[str, Any]) -> Any:
        """The schema of a body or an answer; none when it has no content."""
        content = self._resolve(node).get("content", {})
        return next((each.get("schema") for each in content.values()), None)

    def _operation(self, exchange: Exchange) -> dict[str, Any] | None:
        for pattern, item in self._paths:
            operation = item.get(exchange.request.method.lower())
            if operation is not None and pattern.match(exchange.request.path):
                return {**operation, "__shared": item.get("parameters", [])}
        return None

    def _resolve(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in node:
            target: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/")]
            node = target
        return node


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]+\}", path)
    return re.compile("[^/]+".join(map(re.escape, parts)) + "$")


def _close(node: Any) -> None:
    """Forbid unknown fields wherever fields are named, and read OpenAPI 3.0's ``nullable``."""
    if isinstance(node, list):
        for item in node:
            _close(item)
        return
    if not isinstance(node, dict):
        return
    # Parts of an allOf each name some of the fields: the whole is judged by jsonschema's own rule.
    if isinstance(node.get("allOf"), list) and "$ref" not in node:
        node.setdefault("unevaluatedProperties", False)
    elif isinstance(node.get("properties"), dict):
        node.setdefault("additionalProperties", False)
    if node.get("nullable") and isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
    for key, value in list(node.items()):
        if key == "allOf":
            for part in value:
                _close_below(part)
        elif key not in ("example", "examples", "default", "enum"):
            _close(value)


def _close_below(part: Any) -> None:
    """Inside a part of an allOf, only what lies below its own fields is closed."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "properties":
                for each in value.values():
                    _close(each)
            elif key not in ("example", "examples", "default", "enum"):
                _close(value)
