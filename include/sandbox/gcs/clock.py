"""The server's clock: it runs, and tests may set it, so that objects get old and soft deletes run out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SettableClock:
    """Real time plus an offset. Setting it back is allowed: that is how objects are back-dated."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        """The server's present, UTC."""
        return datetime.now(UTC) + self._offset

    def set(self, instant: datetime) -> None:
        """Make it ``instant`` now; the clock runs on from there."""
        self._offset = instant - datetime.now(UTC)

    def advance(self, step: timedelta) -> None:
        """Move the clock, backwards too."""
        self._offset += step

    def reset(self) -> None:
        """Back to real time."""
        self._offset = timedelta()


def text(instant: datetime) -> str:
    """RFC 3339 in milliseconds, as the API writes it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"


def parse(value: str) -> datetime:
    """An RFC 3339 instant; ``ValueError`` when it is not one or has no offset."""
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError(f"{value!r} has no UTC offset")
    return instant.astimezone(UTC)
