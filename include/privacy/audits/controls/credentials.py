"""Whether columns of credentials hold strong hashes and nothing else (P2.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from include.privacy.audits.controls import hashes
from include.privacy.audits.controls.verdicts import Judgement, Probe, broken, cannot_be_told, exempt, holds
from include.privacy.policy.control_validation import PASSWORD, credential_columns
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.runtime import runtime

CODE = "credential_hashes"
Judge = Callable[[str | bytes], hashes.Fault]


def probes(as_of: datetime) -> Iterator[Probe]:
    """One for each column that is mapped as a credential."""
    config = runtime().config()
    for store in config.data_map.stores:
        if not isinstance(store, DatabaseMap):
            continue
        for table, column, category in credential_columns(store):
            place = f"{store.store}.{table}.{column}"
            default = "password" if category.startswith(PASSWORD) else None
            content = config.controls.credentials.holds.get(place, default)
            yield Probe(CODE, place, partial(_look, store, table, column, content))


def judge(found: Counter[hashes.Fault], content: str) -> Judgement:
    """``found``: how often which fault was seen, ``None`` for none."""
    seen = found.total()
    if not seen:
        return exempt("the column is empty")
    faults = {fault: count for fault, count in found.items() if fault is not None}
    facts = {"seen": seen, "content": content, "faults": faults}
    if faults:
        told = "; ".join(f"{count} of {seen} {fault}" for fault, count in sorted(faults.items()))
        return broken(
            told,
            "hash them anew (at the next sign-in, or by wrapping the old hash), and erase the old",
            **facts,
        )
    return holds(f"{seen} values looked at, all as a {content} has to be", **facts)


def _look(store: DatabaseMap, table: str, column: str, content: str | None) -> Judgement:
    from include.privacy.stores.postgres.credentials import sample

    policy = runtime().config().controls.credentials
    judges: dict[str, Judge] = {
        "password": hashes.password(policy),
        "digest": hashes.digest,
        "ciphertext": hashes.ciphertext,
    }
    if content is None:
        return cannot_be_told(
            "nothing says what it holds", "add it to credentials.holds in config/controls.yaml"
        )
    dsn = runtime().dsn(store.connection)
    found = sample(dsn, store.schema_, table, column, policy.sample_rows, judges[content])
    return judge(found, content)
