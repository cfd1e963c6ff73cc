"""Waking other DAGs: an event of the assets that concern them, and of no other."""

from __future__ import annotations

from typing import Any

WOKEN = "woken_dags"
"""The alias that a ringing task has as its outlet: only the assets added to it have an event."""


def add_event(outlet_events: Any, asset: str) -> None:
    """Give the asset an event when this task succeeds; ``outlet_events`` comes from Airflow."""
    if outlet_events is not None:
        from airflow.sdk import Asset, AssetAlias

        outlet_events[AssetAlias(WOKEN)].add(Asset(asset))
