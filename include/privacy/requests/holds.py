"""Legal holds by form: placed with a target that exists, released by their id. P4.4."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.clouds import Snapshots
from include.privacy.runtime import runtime

log = logging.getLogger(__name__)

REASONS = ("litigation", "regulator_inquiry", "tax_audit", "criminal_investigation", "internal_investigation")
SCOPES = ("subject", "collection", "store")


def place_legal_hold(*, params: Mapping[str, Any] | None = None, dag_run: Any = None) -> str:
    """Place a hold and return its id. From then on nothing it covers is deleted, by no run.

    Raises ``ValueError`` naming the field when the target does not exist: a hold on nothing would
    protect nothing and look as if it did.
    """
    form = dict(params or {})
    scope = form.get("scope")
    if scope == "subject":
        target = str(form.get("account_id") or "").strip()
        if not target or not runtime().root().existing_keys([target]):
            raise ValueError("account_id: there is no such account; check the number in the platform")
    elif scope == "store":
        target = _store(form)
    elif scope == "collection":
        target = f"{_store(form)}.{_collection(form)}"
    else:
        raise ValueError(f"scope: choose one of {', '.join(SCOPES)}")
    if form.get("reason") not in REASONS:
        raise ValueError(f"reason: choose one of {', '.join(REASONS)}")
    hold_id = (
        runtime()
        .ledger()
        .place_hold(str(form.get("matter") or ""), str(form["reason"]), _by(dag_run), scope, target)
    )
    log.info("hold %s is in force (scope: %s)", hold_id, scope)
    return str(hold_id)


def release_legal_hold(*, params: Mapping[str, Any] | None = None, dag_run: Any = None) -> str:
    """Release a hold; what it suspended is found by the next run. Other holds stay in force."""
    try:
        hold_id = UUID(str((params or {}).get("hold_id")))
    except ValueError:
        raise ValueError("hold_id: not a hold's id; place_legal_hold returned it") from None
    runtime().ledger().release_hold(hold_id, _by(dag_run))
    log.info("hold %s is released", hold_id)
    return str(hold_id)


def _store(form: Mapping[str, Any]) -> str:
    known = [s.store for s in runtime().stores()] + list(runtime().config().clouds.names())
    name = str(form.get("store") or "")
    if name not in known:
        raise ValueError(f"store: choose one of {', '.join(known)}")
    return name


def _collection(form: Mapping[str, Any]) -> str:
    config, named = runtime().config(), _store(form)
    store = config.clouds[named] if named in config.clouds.names() else config.data_map[named]
    name = str(form.get("collection") or "")
    if isinstance(store, Snapshots):
        known = list(store.sources)
    elif isinstance(store, BucketMap):
        known = [c.prefix for c in store.content] + [a.prefix for a in store.aged]
    else:
        known = list(store.tables)
    if name not in known:
        raise ValueError(f"collection: the map of {store.store} knows {', '.join(known)}")
    return name


def _by(dag_run: Any) -> str:
    return str(getattr(dag_run, "triggering_user_name", None) or "operator")
