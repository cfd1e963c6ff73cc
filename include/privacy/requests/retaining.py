"""What the map keeps of each person: looked up before the erasure; afterwards nothing leads to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from include.privacy.planning.erasure import kept_because
from include.privacy.planning.models import Plan, Verb
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.runtime import runtime
from include.privacy.steps.executing import alone
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.letters.facts import Kept

KIND = "kept_of_request"
ONE_BY_ONE_UP_TO = 200
"""People per cohort who are looked at singly. In a larger one everybody is told what the map keeps in
general: looking at each would cost more than erasing them."""


def note_what_is_kept(ledger_run: str, cohort_id: UUID, plans: Iterable[Plan]) -> None:
    """Put on record, for each request of the cohort, why and until when something of it stays."""
    ledger = runtime().ledger()
    keeping = [p for p in plans if reasons(p)]
    cohort = ledger.cohort(cohort_id)
    if not keeping or not 1 < cohort.size <= ONE_BY_ONE_UP_TO:
        return
    asked = ledger.cohort_requests(cohort_id)
    as_of = read_run(ledger_run).as_of
    for member in cohort.members():
        request_id = asked.get(member.key)
        if request_id is None or ledger.evidence(request_id=request_id, kind=KIND):
            continue
        kept: dict[str, list[str]] = {}
        for plan in keeping:
            store = runtime().store(plan.store)
            own = store.plan_erasure(alone(member), uuid4(), as_of=as_of)
            store.finish(own)
            if found := reasons(own):
                kept[plan.store] = found
        ledger.append_evidence(KIND, kept, request_id=request_id)


def kept_of(request_id: UUID, plans: Iterable[Plan]) -> dict[str, list[str]]:
    """Store → reasons for one request: what was noted for it, else what the cohort's plans keep."""
    noted = runtime().ledger().evidence(request_id=request_id, kind=KIND)
    if noted:
        return dict(noted[-1].body)
    return {p.store: found for p in plans if (found := reasons(p))}


def reasons(plan: Plan) -> list[str]:
    """Legal basis, reason and end of whatever the plan keeps."""
    return sorted(
        {s.kept_because for s in plan.steps if s.verb is Verb.keep and s.matched and s.kept_because}
    )


def kept_in_words(retained: Mapping[str, list[str]]) -> tuple[Kept, ...]:
    """The same for a letter: what the collection is called, on which ground it stays, and why."""
    from include.privacy.letters.facts import Kept

    told = []
    for store, reasons_there in retained.items():
        mapped = runtime().config().data_map[store]
        for name, table in mapped.tables.items() if isinstance(mapped, DatabaseMap) else ():
            keeps = [s.erasure.keep for s in table.subjects.values() if s.erasure.keep]
            told += [
                Kept(what=name.replace("_", " "), ground=keep.basis, why=keep.reason, until=None)
                for keep in keeps
                if kept_because(keep) in reasons_there
            ]
    return tuple(told)
