"""Which stores are replayed, how they are reached, and whether the platform is really kept out of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, cast
from uuid import UUID

from include.privacy.clock import parse_instant
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.runtime import Runtime, runtime, use_runtime
from include.privacy.steps.runs import CLOCK_SKEW, FindingError, ParameterError, read_run
from include.privacy.steps.work import erasure_stores, root_store

if TYPE_CHECKING:
    from include.privacy.stores.postgres.restored import RestoredDatabase

log = logging.getLogger(__name__)

KIND = "replay"
FOUND, OPENED = "replay_found", "quarantine_opened"
"""Evidence: who came back, in counts; which database was opened to the platform again."""
MARGIN = timedelta(days=1)
"""An erasure is dated by its run, which may have begun a while before a backup and deleted after it."""


class Target(TypedDict):
    """One store to be replayed. ``connection``: where the restored copy is; empty: in the store's own place.
    ``captured_at``: when the backup was captured; empty: the store is newly connected.
    """

    store: str
    connection: str
    captured_at: str


class NotQuarantinedError(FindingError):
    """A restored database is open to others; the message says how to close it."""


def check(ledger_run: str, *, params: Mapping[str, Any] | None = None) -> list[Target]:
    """The stores of the form, once it is sure that nobody uses what was restored.

    A database that a replay from the same backup has opened already is done and left out. Raises
    :class:`ParameterError` naming the field, :class:`NotQuarantinedError` before anything is touched.
    """
    return admit(ledger_run, read_form(params or {}, read_run(ledger_run).as_of))


def admit(ledger_run: str, targets: list[Target]) -> list[Target]:
    """See :func:`check`, for targets of one instant that no form named."""
    run = read_run(ledger_run)
    with restored(targets):
        left = [t for t in targets if not _opened_already(t)]
        problems = not_closed(left)
    for problem in problems:
        log.error("%s", problem)
    if problems and not run.dry_run:
        raise NotQuarantinedError("\n".join(problems))
    body = {"stores": [t["store"] for t in left], "captured_at": targets[0]["captured_at"] or None}
    if not run.dry_run:
        runtime().ledger().append_evidence("replay_began", body, UUID(ledger_run))
    return left


def read_form(form: Mapping[str, Any], as_of: datetime) -> list[Target]:
    """What the form says, checked. Raises :class:`ParameterError`."""
    known = erasure_stores()
    stores, connection = form.get("stores"), str(form.get("connection") or "")
    if not isinstance(stores, list) or not stores or not set(stores) <= set(known):
        raise ParameterError(f"stores: choose one or more of {', '.join(known)}")
    if connection and (len(set(stores)) != 1 or not is_database(stores[0])):
        raise ParameterError("connection: name one only together with exactly one database")
    captured_at = _instant(form.get("captured_at"), as_of)
    if not captured_at and root_store() in stores:
        raise ParameterError(
            f"captured_at: say when the backup of {root_store()} was captured; only a store without the root "
            "table can be newly connected"
        )
    return [Target(store=s, connection=connection, captured_at=captured_at) for s in known if s in stores]


def since(targets: Sequence[Target]) -> datetime | None:
    """From when on things have to be applied again; ``None``: everything that is still known."""
    captured = [t["captured_at"] for t in targets]
    return parse_instant(captured[0]) - MARGIN if captured and captured[0] else None


def is_database(store: str) -> bool:
    """Whether the store is a database of the map."""
    return isinstance(runtime().config().data_map[store], DatabaseMap)


@contextmanager
def restored(targets: Iterable[Target] | None) -> Iterator[None]:
    """Inside, the stores of a replay are the restored ones; everything else is as ever."""
    with use_runtime(_RestoredRuntime(runtime(), {t["store"]: t["connection"] for t in targets or ()})):
        yield


def restored_database(store: str) -> RestoredDatabase:
    """The adapter of a restored database; only inside :func:`restored`."""
    return cast("RestoredDatabase", runtime().database(store))


class _RestoredRuntime(Runtime):
    """The runtime around it, with other adapters for the databases that are replayed."""

    def __init__(self, around: Runtime, connections: Mapping[str, str]) -> None:
        super().__init__(around._connect, around._load)
        self._around, self._connections = around, connections

    def _once(self, key: object, make: Callable[[], Any]) -> Any:
        kind, name = key if isinstance(key, tuple) else (key, None)
        if kind == "store" and name in self._connections and is_database(name):
            return super()._once(key, lambda: self._restored(name))
        return self._around._once(key, make)

    def _restored(self, store: str) -> Any:
        from include.privacy.stores.postgres.restored import RestoredDatabase

        mapped = self.config().data_map[store]
        assert isinstance(mapped, DatabaseMap)
        return RestoredDatabase(mapped, self.dsn(self._connections[store] or mapped.connection))


def opening_body(target: Target) -> dict[str, Any]:
    """What identifies the opening of one restored database in the evidence."""
    name, number, _ = restored_database(target["store"]).identity()
    return {
        "store": target["store"],
        "database": name,
        "number": number,
        "captured_at": target["captured_at"],
    }


def _opened_already(target: Target) -> bool:
    """Whether this database was replayed and opened before; a crash in between is put right."""
    if not (target["captured_at"] and is_database(target["store"])):
        return False
    if not restored_database(target["store"]).ways_in():
        return False  # closed, or closed once more: to be replayed
    body = opening_body(target)
    known = (e.body for e in runtime().ledger().evidence(kind=OPENED))
    if not any(all(e.get(name) == value for name, value in body.items()) for e in known):
        return False
    restored_database(target["store"]).open_to_platform(runtime().config().policy.purposes)
    log.info("store %s: this database has been replayed and opened; nothing to do", target["store"])
    return True


def not_closed(targets: Iterable[Target]) -> list[str]:
    """Why restored databases are not in quarantine, and how to put it right; call it inside ``restored``."""
    closed = [t for t in targets if t["captured_at"] and is_database(t["store"])]
    return [problem for t in closed if (problem := _why_not_closed(t)) is not None]


def _why_not_closed(target: Target) -> str | None:
    database, store = restored_database(target["store"]), target["store"]
    name, _, ours = database.identity()
    ways = database.ways_in()
    may = sorted({w.role for w in ways if w.how == "may connect"})
    there = sorted({w.role for w in ways})
    regrant = f'GRANT CONNECT ON DATABASE "{name}" TO "{ours}" WITH GRANT OPTION'
    if may:
        # What our role has granted falls with its own right only, hence CASCADE.
        roles = ", ".join(f'"{role}"' for role in (*may, ours))
        return (
            f"store {store}: database {name} is not in quarantine: {', '.join(may)} may connect. As its "
            f'owner: REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC, {roles} CASCADE; {regrant}; then run '
            "this again"
        )
    if there:
        return (
            f"store {store}: database {name} is not in quarantine: sessions of {', '.join(there)} are open "
            "in it. End them (pg_terminate_backend), then run this again"
        )
    if not database.may_open():
        return (
            f"store {store}: our role may not open database {name} again. As its owner: {regrant}; then run "
            "this again"
        )
    return None


def _instant(given: Any, as_of: datetime) -> str:
    if not given:
        return ""
    try:
        captured_at = parse_instant(str(given))
    except ValueError:
        raise ParameterError(
            "captured_at must be an instant with its zone, such as 2026-03-01T00:00:00Z"
        ) from None
    if captured_at > as_of + CLOCK_SKEW:
        raise ParameterError("captured_at lies in the future: say when the backup was captured")
    return captured_at.isoformat()
