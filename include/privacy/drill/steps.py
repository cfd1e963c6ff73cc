"""The steps of a drill, each asked whether it is done: what it found, or nothing while it has to wait.

A step is named by the state that it leaves. It may be taken twice: a run may end before its result is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from include.privacy.clock import parse_instant
from include.privacy.drill import looking
from include.privacy.drill.planter import Planted, Planter, planted_of
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError
from include.privacy.steps.work import erasure_stores

if TYPE_CHECKING:
    from include.privacy.ledger.drills import DrillRow
    from include.privacy.ledger.rows import RequestRow

ACCESS, RECTIFICATION, ERASURE = "access", "rectification", "erasure"
PROMISES: Mapping[str, str] = {ACCESS: "P6.1", RECTIFICATION: "P6.2", ERASURE: "P6.3"}
IDENTITY, BACKUPS = "P6.7", "P4.3"
EVERYWHERE = "drill"
"""Where a finding is that belongs to no store."""


class DrillFailure(Exception):  # noqa: N818 - a result of the drill, not a fault of it
    """What a drill found broken: which promise, in which stores, in words without any value."""

    def __init__(self, promise: str, what: str, where: Mapping[str, int] | None = None) -> None:
        super().__init__(f"{promise}: {what}")
        self.promise, self.what = promise, what
        self.where: Mapping[str, int] = where or {EVERYWHERE: 1}


@dataclass(frozen=True)
class Done:
    """A step is done. ``facts`` go on record; ``notes`` are kept for later steps; neither has a value."""

    state: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    planted: Planted | None = None


@dataclass(frozen=True)
class Moment:
    """What a step is given."""

    drill: DrillRow
    planter: Planter
    as_of: datetime
    ledger_run: str

    @property
    def planted(self) -> Planted:
        """Who was planted."""
        assert self.drill.planted is not None
        return planted_of(self.drill.planted)

    def request_id(self, right: str) -> UUID:
        """The same whenever it is asked for, so that nothing is asked twice."""
        return uuid5(self.drill.id, right)

    def request(self, right: str) -> RequestRow | None:
        """The drill's request, once it was taken in."""
        return runtime().ledger().find_request(str(self.request_id(right)))


def plant(now: Moment) -> Done:
    """Put the person into every store and processor."""
    planted = now.planter.plant(str(now.drill.id), now.as_of)
    known = {*erasure_stores(), *runtime().config().processors}
    facts = {"planted_in": sorted(planted.markers), "not_planted": sorted(known - {*planted.markers})}
    return Done("planted", facts, planted=planted)


def ask_access(now: Moment) -> Done:
    """See that the planter finds the person wherever it says it planted one, or nothing is proven; then the
    click on “show me everything you hold”.
    """
    held = now.planter.residue(now.planted)
    if empty := [name for name in now.planted.markers if not held.get(name)]:
        where = dict.fromkeys(empty, 1)
        raise DrillFailure(
            PROMISES[ACCESS], f"nothing was found in {', '.join(sorted(empty))} after planting", where
        )
    ask(now, ACCESS, {})
    return Done("asked_access", {"request": now.request_id(ACCESS), "held": held})


def look_at_archive(now: Moment) -> Done | None:
    """The archive opens with its passphrase, and shows something of every store (P6.1)."""
    answer = answered(now, ACCESS, "access_ready")
    if answer is None:
        return None
    if missing := looking.not_shown(answer, now.planted.markers):
        raise DrillFailure(
            PROMISES[ACCESS],
            f"the archive shows nothing of {', '.join(missing)}",
            dict.fromkeys(missing, 1),
        )
    return Done("answered", {"shown": sorted(now.planted.markers)})


def ask_rectification(now: Moment) -> Done:
    """The click that corrects; on record goes which stores have each field."""
    fields = now.planted.corrections
    before = {name: sorted(now.planter.values(now.planted, name)) for name in fields}
    ask(now, RECTIFICATION, {"corrections": dict(fields)})
    facts = {"request": now.request_id(RECTIFICATION), "fields": before}
    return Done("asked_rectification", facts, {"fields": before})


def look_at_corrections(now: Moment) -> Done | None:
    """Every store that had a field says the new value, and no other (P6.2)."""
    if answered(now, RECTIFICATION, "rectification_completed") is None:
        return None
    wrong: dict[str, int] = {}
    for name, wanted in now.planted.corrections.items():
        found = now.planter.values(now.planted, name)
        for store in looking.wrong_stores(found, wanted, now.drill.notes["fields"][name]):
            wrong[store] = wrong.get(store, 0) + 1
    if wrong:
        raise DrillFailure(
            PROMISES[RECTIFICATION], f"{', '.join(sorted(wrong))} does not say what was corrected", wrong
        )
    return Done("corrected", {"fields": now.drill.notes["fields"]})


def back_up(now: Moment) -> Done | None:
    """A backup that has the person in it."""
    captured_at = now.planter.back_up(now.planted, now.as_of)
    if captured_at is None:
        return None
    return Done("backed_up", {"captured_at": captured_at}, {"captured_at": captured_at.isoformat()})


def ask_erasure(now: Moment) -> Done:
    """The click on “delete my account and data”."""
    ask(now, ERASURE, {})
    return Done("asked_erasure", {"request": now.request_id(ERASURE)})


def look_for_residue(now: Moment) -> Done | None:
    """Once the engine has probed and closed the request, the planter must find nothing either (P6.3)."""
    if answered(now, ERASURE, "erasure_completed") is None:
        return None
    row = now.request(ERASURE)
    outcomes = {r.recipient: r.state for r in runtime().ledger().recipients(row.id)} if row else {}
    left = {name: count for name, count in now.planter.residue(now.planted).items() if count}
    if left:
        raise DrillFailure(
            PROMISES[ERASURE], f"the erasure was answered, and the person is left in {told(left)}", left
        )
    return Done("erased", {"recipients": outcomes})


def restore(now: Moment) -> Done | None:
    """The backup comes back as a closed copy, with the person in it: otherwise nothing is proven."""
    captured_at = parse_instant(now.drill.notes["captured_at"])
    restored = now.planter.restore(now.planted, captured_at)
    if restored is None:
        return None
    back = now.planter.residue_in(now.planted, restored) if restored else {}
    if empty := [store for store in restored if not back.get(store)]:
        where = dict.fromkeys(empty, 1)
        raise DrillFailure(BACKUPS, f"the restored backup of {', '.join(empty)} has nobody in it", where)
    facts = {"restored": sorted(restored), "came_back": back}
    return Done("restored", facts, {"restored": dict(restored)})


def replay(now: Moment) -> Done:
    """What the copy does not know is applied to it; then the planter must find nothing in it (P4.3, P6.3)."""
    from include.privacy.drill import replaying

    restored: Mapping[str, str] = now.drill.notes["restored"]
    if restored:
        try:
            replaying.replay(
                now.ledger_run, now.drill.id, restored, parse_instant(now.drill.notes["captured_at"])
            )
        except FindingError as error:
            raise DrillFailure(BACKUPS, f"the replay of a restored backup failed: {error}") from None
        back = {s: n for s, n in now.planter.residue_in(now.planted, restored).items() if n}
        if back:
            raise DrillFailure(
                BACKUPS, f"after the replay of a restored backup the person is in {told(back)}", back
            )
    return Done("replayed", {"replayed": sorted(restored)})


def finish(now: Moment) -> Done:
    """Drop the copies: they have everybody in them."""
    now.planter.drop()
    return Done("passed", {"rehearsed_restore": bool(now.drill.notes["restored"])})


def clear(now: Moment) -> Done | None:
    """Take away what a failed drill planted, by a request like any other, and say what is left and where."""
    now.planter.drop()
    if now.drill.planted is None:
        return Done("failed", {"left": {}})
    ask(now, ERASURE, {})
    row = now.request(ERASURE)
    in_time = now.as_of < now.drill.moved_at + runtime().config().drill.waits("clearing")
    if (row is None or row.closed_at is None) and in_time:
        return None
    left = {name: count for name, count in now.planter.residue(now.planted).items() if count}
    return Done("failed", {"left": left})


STEPS: Mapping[str, Callable[[Moment], Done | None]] = {
    "planting": plant,
    "planted": ask_access,
    "asked_access": look_at_archive,
    "answered": ask_rectification,
    "asked_rectification": look_at_corrections,
    "corrected": back_up,
    "backed_up": ask_erasure,
    "asked_erasure": look_for_residue,
    "erased": restore,
    "restored": replay,
    "replayed": finish,
    "clearing": clear,
}
_BROKEN_WHEN_LATE: Mapping[str, str] = {
    "asked_rectification": PROMISES[RECTIFICATION],
    "corrected": BACKUPS,
    "asked_erasure": PROMISES[ERASURE],
    "erased": BACKUPS,
    "restored": BACKUPS,
    "replayed": BACKUPS,
}
"""State → the promise that is in doubt when it lasts too long; of all others P6.1."""


def too_late(now: Moment, error: Exception | None = None) -> DrillFailure:
    """What it means that a step was not done by its deadline, or failed to the last."""
    state = now.drill.state
    row = now.request(state.removeprefix("asked_")) if state.startswith("asked_") else None
    if row is not None and row.verified_at is None:
        return DrillFailure(IDENTITY, f"the proof of identity that came with {row.right} was not accepted")
    hours = runtime().config().drill.waits(state) // timedelta(hours=1)
    why = f" ({type(error).__name__})" if error else ""
    if now.drill.planted is None:
        why += "; what was planted until then has to be taken away by hand"
    promise = _BROKEN_WHEN_LATE.get(state, PROMISES[ACCESS])
    return DrillFailure(promise, f"the drill has not come beyond {state!r} within {hours} hours{why}")


def ask(now: Moment, right: str, details: Mapping[str, Any]) -> None:
    """Click, unless the request was taken in already: after an erasure its row in the inbox is gone."""
    if now.request(right) is None:
        now.planter.ask(now.planted, now.request_id(right), right, details, now.as_of)


def answered(now: Moment, right: str, kind: str) -> Mapping[str, Any] | None:
    """The answer, once it is there; raises when it is another one, or came without proof of identity."""
    row = now.request(right)
    if row is None:
        return None
    answer = now.planter.answers(now.planted, now.request_id(right)).get(kind)
    if answer is not None and (row.verified_at is None or not row.verification.get("method")):
        raise DrillFailure(IDENTITY, f"{right} was answered without any proof of identity on record")
    if row.closed_at is None:
        return None
    if row.verified_at is None:
        raise DrillFailure(IDENTITY, f"the proof of identity that came with {right} was not accepted")
    if row.state not in ("completed", "completed_with_retention"):
        raise DrillFailure(PROMISES[right], f"{right} ended as {row.state}")
    return answer


def told(counts: Mapping[str, int]) -> str:
    """Counts for a sentence."""
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
