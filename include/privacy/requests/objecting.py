"""Objections, purpose by purpose (P6.5, Art. 21 GDPR): stopped at once, or restricted until weighed."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.planning.restriction import contact_mark
from include.privacy.policy.objection import effect_of_objection
from include.privacy.requests import claimed, decisions, notifying, telling
from include.privacy.requests.answering import finish, refuse
from include.privacy.requests.decisions import Reasons
from include.privacy.runtime import runtime
from include.privacy.steps import journal, recipients
from include.privacy.steps.freezing import members
from include.privacy.steps.runs import FindingError, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow
    from include.privacy.letters.kinds import Facts

log = logging.getLogger(__name__)

STOP, CONTINUE = "stop", "continue"
"""What a person decides about purposes that are weighed. Silence stops: it is what was asked for."""


@dataclass(frozen=True)
class Effects:
    """What one objection comes to at present: stopped for good, restricted, going on, no right to it."""

    stopped: tuple[str, ...]
    restricted: tuple[str, ...]
    continued: tuple[str, ...]
    not_eligible: tuple[str, ...]


class ObjectionsOpenError(FindingError):
    """Some objections could not be carried out; the message has counts only."""


def effects_of(request: RequestRow) -> Effects:
    """What the objection means now, with the decision if there is one."""
    purposes = runtime().config().policy.purposes
    asked = tuple(dict.fromkeys((request.details or {}).get("purposes", ())))
    by_effect = defaultdict(list)
    for purpose in asked:
        by_effect[effect_of_objection(purpose, purposes[purpose])].append(purpose)
    weighed, answer = by_effect["weigh"], _decided(request)
    return Effects(
        stopped=(*by_effect["stop"], *(weighed if answer == STOP else ())),
        restricted=tuple(weighed) if answer is None else (),
        continued=tuple(weighed) if answer == CONTINUE else (),
        not_eligible=tuple(by_effect["none"]),
    )


def claim(ledger_run: str, *, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Claim what waits; one item per database with all requests: tasks are mapped over stores."""
    ids = claimed.claim(ledger_run, "objection", params=params)
    return [{"store": s, "request_ids": ids} for s in claimed.databases()] if ids else []


def restrict(ledger_run: str, store: str, request_ids: list[str]) -> dict[str, int]:
    """Close the views of one database to the people who object; from then on no job sees them.

    Set-based: as many statements as there are different combinations of purposes. Idempotent.
    """
    run = read_run(ledger_run)
    stopped: dict[tuple[str, ...], list[str]] = defaultdict(list)
    restricted: dict[tuple[str, ...], list[str]] = defaultdict(list)
    over: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for request in claimed.open_requests(request_ids):
        effects, key = effects_of(request), str(request.subject_key)
        for groups, purposes in (
            (stopped, effects.stopped),
            (restricted, effects.restricted),
            (over, (*effects.continued, *(p for p in effects.stopped if _weighed(p)))),
        ):
            if purposes:
                groups[purposes].append(key)
    if run.dry_run:
        return {"stopped": _people(stopped), "restricted": _people(restricted), "lifted": 0}
    database = runtime().database(store)
    for purposes, keys in stopped.items():
        database.restrict(keys, purposes, "objection", run.as_of)
        journal.note_restrictions(keys, purposes, "objection", run.as_of)
    for purposes, keys in restricted.items():
        database.restrict(keys, purposes, "restriction", run.as_of)
        journal.note_restrictions(keys, purposes, "restriction", run.as_of)
    lifted = 0
    for purposes, keys in over.items():
        lifted += database.lift(keys, purposes, "restriction")
        journal.note_restrictions(keys, purposes, "restriction", run.as_of, active=False)
    log.info("store %s: %d people stopped, %d restricted", store, _people(stopped), _people(restricted))
    return {"stopped": _people(stopped), "restricted": _people(restricted), "lifted": lifted}


def tell_processors(ledger_run: str, items: list[dict[str, Any]] | None = None) -> list[dict[str, str]]:
    """Queue what has to stop at processors; returns who has work.

    Purposes that are still weighed go on there only in storage: the purpose views are closed already.
    """
    if read_run(ledger_run).dry_run:
        return []
    requests = claimed.open_requests(items[0]["request_ids"] if items else [])
    frozen = {m.key: m for m in members(dict.fromkeys(str(r.subject_key) for r in requests))}
    known = runtime().config().processors
    for request in requests:
        stopped = effects_of(request).stopped
        recipients.open_tasks(
            ledger_run,
            [
                recipients.new_task(
                    request.id, name, "object", frozen[str(request.subject_key)], request.id, purpose=purpose
                )
                for name in recipients.processors_for("objection")
                for purpose in stopped
                if purpose in known[name].objection
            ],
        )
    return recipients.due(ledger_run)


def close(request: RequestRow, as_of: datetime) -> str:
    """Answer an objection that waited for processors, after looking at the stores once more."""
    return _conclude(request, _in_force([request]), as_of)


def conclude(ledger_run: str, items: list[dict[str, Any]] | None = None) -> dict[str, int]:
    """Look whether each objection is in force everywhere, then answer it or have it weighed."""
    run = read_run(ledger_run)
    ledger = runtime().ledger()
    requests = claimed.open_requests(items[0]["request_ids"] if items else [])
    counts: Counter[str] = Counter()
    if not run.dry_run:
        in_force = _in_force(requests)
        for request in requests:
            try:
                counts[_conclude(request, in_force, run.as_of)] += 1
            except Exception as error:
                log.exception("request %s could not be concluded: %s", request.id, type(error).__name__)
                counts["open"] += 1
    ledger.close_run(UUID(ledger_run), {"as_of": run.as_of.isoformat(), "requests": dict(counts)})
    log.info("objections: %s", dict(counts) or "none waited")
    if items is None or counts["open"]:
        raise ObjectionsOpenError(
            f"{counts['open']} of {len(requests)} objections are not in force everywhere; the next sweep "
            "goes on with them, and the logs of restrict say which store stopped them"
        )
    return dict(counts)


def _in_force(requests: Sequence[RequestRow]) -> Mapping[str, Mapping[str, Iterable[Any]]]:
    """Store → subject key → restrictions, as they are now."""
    if not requests:
        return {}
    keys = [str(request.subject_key) for request in requests]
    return {store: runtime().database(store).restricted(keys) for store in claimed.databases()}


def _conclude(
    request: RequestRow, in_force: Mapping[str, Mapping[str, Iterable[Any]]], as_of: datetime
) -> str:
    effects = effects_of(request)
    wanted = {*effects.stopped, *effects.restricted}
    for store, found in in_force.items():
        there = {r.purpose for r in found.get(str(request.subject_key), ())}
        if not wanted <= there:
            log.error("request %s: store %s does not restrict %s", request.id, store, sorted(wanted - there))
            return "open"
        runtime().ledger().record_recipient(request.id, store, "stopped", None, {"purposes": sorted(wanted)})
    _suppress(request, effects.stopped, as_of)
    if effects.restricted:
        return _have_weighed(request, effects, as_of)
    if waiting := notifying.open_recipients(request.id):
        why = f"waits for {', '.join(waiting)}"
        runtime().ledger().transition_all([request.id], "awaiting_recipients", why)
        return "awaiting_recipients"
    if not (effects.stopped or effects.continued):
        from include.privacy.letters.reasons import RefusalReason

        return refuse(request, RefusalReason.not_eligible_purpose, as_of)
    return _answer(request, effects, as_of)


def _suppress(request: RequestRow, stopped: Iterable[str], as_of: datetime) -> None:
    """Keyed marks of every address of the person: they outlive the account (Art. 21(3) GDPR)."""
    marketing = [p for p in stopped if p.startswith("marketing")]
    if not marketing:
        return
    (member,) = members([str(request.subject_key)])
    key = runtime().suppression_key()
    marks = {contact_mark(key, "email", address) for address in member.identifiers.get("email", ())}
    for purpose in marketing:
        runtime().root().suppress(marks, purpose, as_of)
        journal.note_suppressions(marks, purpose, as_of)


def _have_weighed(request: RequestRow, effects: Effects, as_of: datetime) -> str:
    body = {"stopped": list(effects.stopped), "restricted": list(effects.restricted)}
    telling.answer(request, "restricted", body)

    def facts() -> Facts:
        from include.privacy.letters.facts import ObjectionReceived

        return ObjectionReceived(
            **_head(request),
            stopped=_titles(effects.stopped),
            restricted=_titles(effects.restricted),
            due_on=telling.day(request.due_at),
        )

    telling.tell(request, "objection_received", facts, as_of)
    decisions.ask("objection", request, {"purposes": list(effects.restricted)}, as_of)
    return "awaiting_decision"


def _answer(request: RequestRow, effects: Effects, as_of: datetime) -> str:
    body = {
        "outcome": "completed",
        "stopped": list(effects.stopped),
        "continued": list(effects.continued),
        "not_eligible": list(effects.not_eligible),
    }

    def facts() -> Facts:
        from include.privacy.letters.facts import Continued, ObjectionDecided
        from include.privacy.letters.reasons import CompellingGround

        made = decisions.answer_of(request.id, "objection")
        reasons = Reasons.of(made.reasons if made else None)
        grounds = CompellingGround(reasons.grounds) if reasons.grounds else None
        return ObjectionDecided(
            **_head(request),
            stopped=_titles(effects.stopped),
            continued=tuple(
                Continued(purpose=title, grounds=grounds, why=reasons.explanation)
                for title in _titles(effects.continued)
            ),
            restriction_ends_on=telling.day(as_of) if effects.continued else None,
        )

    return finish(request, "completed", body, "objection_decided", facts, as_of, what="decided")


def _decided(request: RequestRow) -> str | None:
    made = decisions.answer_of(request.id, "objection")
    return made.answer if made else None


def _weighed(purpose: str) -> bool:
    return effect_of_objection(purpose, runtime().config().policy.purposes[purpose]) == "weigh"


def _head(request: RequestRow) -> dict[str, Any]:
    return {name: value for name, value in telling.head(request).items() if name != "right"}


def _titles(purposes: Iterable[str]) -> tuple[str, ...]:
    known = runtime().config().policy.purposes
    return tuple(known[p].title for p in purposes)


def _people(groups: Mapping[tuple[str, ...], list[str]]) -> int:
    return len({key for keys in groups.values() for key in keys})
