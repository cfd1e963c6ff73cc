"""Client libraries wait between tries; what is tested here does not."""

from __future__ import annotations

import pytest
import stripe


@pytest.fixture(autouse=True)
def _no_pauses_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.0)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0.0)
