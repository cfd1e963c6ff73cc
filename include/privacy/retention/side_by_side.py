"""A simulation as text: what the rules do now, what they would do, rule by rule and store by store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.privacy.retention.measuring import Figures

if TYPE_CHECKING:
    from include.privacy.retention.simulating import Simulation

_HEAD = ("deletes", "changes", "keeps", "people", "held")
_WIDTH = 9


def lines(found: Simulation) -> Iterator[str]:
    """The report, for a terminal of 140 columns."""
    yield f"As of {found.as_of.isoformat()}, on the data as they are. Nothing is deleted."
    if found.problems:
        yield ""
        yield "REFUSED: this policy cannot be used."
        for problem in found.problems:
            yield f"  {problem}"
    yield ""
    other = found.version_then or "(refused)"
    yield f"{'':<46} {f'now: {found.version_now}':<50} then: {other}"
    columns = " ".join(f"{name:>{_WIDTH}}" for name in _HEAD)
    yield f"{'rule, store':<46} {columns}   {columns}"
    before = {(f.rule, f.store): f for f in found.now}
    after = {(f.rule, f.store): f for f in found.then}
    for key in dict.fromkeys([*before, *after]):
        then = None if found.problems else after.get(key)
        yield f"{', '.join(key):<46} {_figures(before.get(key))}   {_figures(then)}".rstrip()
        for when, figures in (("now", before.get(key)), ("then", then)):
            if figures is not None and figures.refused:
                yield f"    {when}: refused: {figures.refused}"
            if figures is not None and figures.blocked:
                yield f"    {when}: {figures.blocked} reasons why something locked stays"
    if not found.problems:
        yield ""
        yield from _totals(found)
        yield ""
        yield "What changes:" if found.changes else "Nothing changes."
        for change in found.changes:
            yield f"  {change}"


def _totals(found: Simulation) -> Iterator[str]:
    now, then = (sum(f.deletes for f in figures) for figures in (found.now, found.then))
    yield f"In all: {now:,} rows and objects go now, {then:,} then ({then - now:+,})."


def _figures(figures: Figures | None) -> str:
    if figures is None:
        return " ".join(f"{'–':>{_WIDTH}}" for _ in _HEAD)
    kept = sum(figures.kept.values())
    values = (figures.deletes, figures.changes, kept, figures.people, figures.held)
    return " ".join(f"{value:>{_WIDTH},}" for value in values)
