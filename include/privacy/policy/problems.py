"""What is wrong in a configuration file: where, what, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

_LISTED = 8  # more names than this make a message that nobody reads


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to change. ``field`` is the path inside the file (``rules[2].clock``)."""

    file: str
    line: int
    field: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.message}; {self.fix}"


class ConfigError(ValueError):
    """The configuration cannot be used. Carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that the word was most likely meant to be; ``None`` when nothing is close."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), None)


def suggestion(word: str, known: Iterable[str]) -> str:
    """``write x`` when something close is known, else what is known."""
    names = sorted(known)
    near = nearest(word, names)
    if near is not None:
        return f"write {near}"
    listed = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
    return f"write one of {listed}" if names else "map it first; there is none yet"
