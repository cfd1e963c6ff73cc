"""What SendGrid tells by itself of each letter, beside what its log says when it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from include.privacy.notices.campaigns import settings
from include.privacy.notices.proving import as_record
from include.privacy.runtime import runtime
from include.privacy.steps import runs

if TYPE_CHECKING:
    from include.privacy.mail.bulk import Fated


def record(events: Sequence[Fated]) -> None:
    """Write down the events that are about notices; others, and repetitions, change nothing."""
    found = [as_record(each) for each in events]
    known = [each for each in found if each.token is not None]
    if known:
        runtime().ledger().record_events(known, runs.current_instant(), fallback=settings().fallback)
