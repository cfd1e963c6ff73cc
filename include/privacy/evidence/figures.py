"""The pictures of the promise report. Another one is one more entry in ``FIGURES``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from include.privacy.evidence.charts import Bar, columns, spans
from include.privacy.policy.policy import ObjectAgeRule, SnapshotAgeRule, SubjectLifecycleRule
from include.privacy.policy.promises import UPPER_LIMITS
from include.privacy.runtime import runtime

BACKUP_DAYS, PURGE_DAYS = UPPER_LIMITS["P4.3"], UPPER_LIMITS["P4.2"]
_REQUESTS_OF = timedelta(days=180)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Figure:
    """A picture and its numbers: ``rows`` below ``head``. ``picture``: SVG, empty if nothing was found."""

    name: str
    promise: str
    title: str
    description: str
    head: tuple[str, ...]
    rows: Sequence[Sequence[str | int | float]]
    picture: str = ""

    def as_json(self) -> dict[str, Any]:
        """Without the picture, which follows from the numbers."""
        return {name: value for name, value in asdict(self).items() if name != "picture"}


def backup_ages(as_of: datetime) -> Figure:
    """The age of the newest and oldest archive of each backup set against the promised 180 days (P4.3)."""
    bars = []
    rows: list[tuple[str, float, float]] = []
    for label, newest, oldest in _captures():
        if newest is None or oldest is None:
            continue
        youngest, age = (round((as_of - each) / _DAY, 1) for each in (newest, oldest))
        bars.append(Bar(label, max(youngest, 0.0), age, late=age > BACKUP_DAYS))
        rows.append((label, youngest, age))
    title = f"Age of backups against {BACKUP_DAYS} days"
    late = sum(bar.late for bar in bars)
    description = (
        f"{len(bars)} sets of backups from the newest to the oldest, in days; {late} beyond the line."
    )
    picture = spans(title, description, bars, BACKUP_DAYS, "days") if bars else ""
    return Figure("backup_ages", "P4.3", title, description, ("set", "newest", "oldest"), rows, picture)


def requests_against_due_dates(as_of: datetime) -> Figure:
    """How many days before the due date requests were answered, or what those still open have left (P6.6)."""
    ledger = runtime().ledger()
    answered: Counter[int] = Counter()
    open_: Counter[int] = Counter()
    for margin, still_open in ledger.request_margins(as_of, as_of - _REQUESTS_OF):
        days = max(-1, min(margin // _DAY, 20))
        (open_ if still_open else answered)[days] += 1
    found = range(-1, 21) if answered or open_ else range(0)
    labels = {-1: "late", 20: "20+"}
    rows = [(labels.get(d, str(d)), answered[d], open_[d]) for d in found]
    title = "Requests against their due dates"
    description = (
        f"{sum(answered.values())} answered in {_REQUESTS_OF.days} days and {sum(open_.values())} open, by "
        f"whole days left until due; {answered[-1] + open_[-1]} late."
    )
    picture = columns(
        title, description, [(a, b + c, a == "late") for a, b, c in rows], "days left until due"
    )
    head = ("days left", "answered", "open")
    return Figure("requests", "P6.6", title, description, head, rows, picture if rows else "")


def accounts_since_deletion(as_of: datetime) -> Figure:
    """How many deleted accounts are still there, by days since their deletion, against 90 days (P4.2)."""
    rules = runtime().config().policy.rules
    rule = next((r for r in rules if isinstance(r, SubjectLifecycleRule) and r.action == "purge"), None)
    counts = runtime().root().deleted_accounts(as_of=as_of) if rule else {}
    step = 10
    grouped: Counter[int] = Counter()
    for days, count in counts.items():
        grouped[min(days, PURGE_DAYS) // step] += count
    last = PURGE_DAYS // step
    rows = [
        (f"{n * step}-{n * step + step - 1}" if n < last else f"{PURGE_DAYS}+", grouped[n])
        for n in range(last + 1)
    ]
    title = "Accounts by days since their deletion"
    target = f" The purge begins after {rule.target_days} days." if rule else ""
    description = (
        f"{sum(grouped.values())} deleted accounts not yet purged, {grouped[last]} of them at or past "
        f"{PURGE_DAYS} days.{target}"
    )
    bars = [(label, count, label.endswith("+")) for label, count in rows]
    picture = columns(title, description, bars, "days since deletion")
    return Figure("accounts", "P4.2", title, description, ("days", "accounts"), rows, picture)


def coverage_of_notices(as_of: datetime) -> Figure:
    """How much of its audience each notice of a new policy has reached or accounted for (P8.1)."""
    rows = []
    for campaign in runtime().ledger().notice_campaigns():
        if (told := campaign.report) is not None:
            share = round(100 * float(told["coverage"]), 2)
            rows.append((campaign.version, int(told["audience"]), int(told["accounted_for"]), share))
    title = "Notices of a new policy: share of the audience that is accounted for"
    description = f"The last of {len(rows)} is at {rows[-1][3]} %." if rows else "No notice yet."
    bars = [Bar(version, 0, share) for version, _, _, share in rows]
    head = ("version", "audience", "accounted for", "percent")
    picture = spans(title, description, bars, 100, "%") if rows else ""
    return Figure("notices", "P8.1", title, description, head, rows, picture)


FIGURES: tuple[Callable[[datetime], Figure], ...] = (
    backup_ages,
    requests_against_due_dates,
    accounts_since_deletion,
    coverage_of_notices,
)
"""Each is asked for by itself: a store that is down costs the report one picture."""


def _captures() -> Iterator[tuple[str, datetime | None, datetime | None]]:
    for rule in runtime().config().policy.rules:
        if rule.promise != "P4.3":
            continue
        if isinstance(rule, ObjectAgeRule):
            found = runtime().bucket(rule.store).captures(rule.prefix)
            yield rule.id, found.newest, found.oldest
        elif isinstance(rule, SnapshotAgeRule):
            store = runtime().snapshots(rule.store)
            yield rule.id, store.newest_capture(), store.oldest_capture()
