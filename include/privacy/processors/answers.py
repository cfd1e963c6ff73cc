"""Answers of processors, checked: what is not as described is one clear error, without a word of it."""

from __future__ import annotations

from typing import Any, TypeVar

from include.privacy.processors.protocol import ProcessorUnavailableError

T = TypeVar("T")


def value(body: Any, name: str, kind: type[T]) -> T:
    """A field of an answer. Raises :class:`ProcessorUnavailableError`."""
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool) is not (kind is bool):
        raise _wrong(name, kind.__name__)
    return found


def items(body: Any, name: str | None, kind: type[T]) -> list[T]:
    """A list in an answer (``None``: the answer itself), all of one kind."""
    found = body if name is None else value(body, name, list)
    if not isinstance(found, list) or not all(isinstance(each, kind) for each in found):
        raise _wrong(name or "the answer", f"a list of {kind.__name__}")
    return found


def objects(body: Any, name: str | None, *texts: str) -> list[dict[str, Any]]:
    """A list of objects in an answer, each with these fields, which are text."""
    found = items(body, name, dict)
    for each in found:
        for text in texts:
            value(each, text, str)
    return found


def _wrong(name: str, kind: str) -> ProcessorUnavailableError:
    return ProcessorUnavailableError(
        f"an answer is not as described: {name} should be {kind}; if that stays so, the interface has changed"
    )
