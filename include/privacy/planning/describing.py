"""A plan in words for whoever is about to let it run: counts and names from the map only."""

from __future__ import annotations

from collections.abc import Iterator

from include.privacy.planning.models import Plan


def describe(plan: Plan) -> Iterator[str]:
    """Lines of text. Whoever reads a plan need not see who is in it."""
    people = f"{plan.subjects:,} people of " if plan.action == "erase" else ""
    why = f"rule {plan.rule}" if plan.rule else plan.action
    yield (
        f"{plan.store}, {why}, as of {plan.as_of.isoformat()}: {plan.matched:,} matched; "
        f"{people}{plan.population:,} in the store; {plan.shards} shard(s)"
    )
    for number, group in enumerate(plan.groups, start=1):
        for step in group:
            what = f"{step.verb.value:<9} {step.table:<28} {step.role:<14} {step.matched:>12,}"
            yield f"  {number:>3}  {what}{'  with its group' if len(group) > 1 else ''}"
            if step.replacements:
                yield f"       replaces {', '.join(step.replacements)}"
            if step.kept_because:
                yield f"       kept: {step.kept_because}"
    for note in plan.notes:
        yield f"  note: {note}"
