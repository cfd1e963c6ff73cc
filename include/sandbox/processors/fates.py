"""Who gets a message and who does not, steered by tests and the demo: always the same for an address."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any


class Fates:
    """Names of fates, each with a share of all addresses and with addresses of its own.

    Settings: ``<name>_share`` (0 to 1) and ``<name>s`` (a list of addresses). ``salt`` makes the shares of
    two providers independent of each other.
    """

    def __init__(self, names: Sequence[str], salt: str) -> None:
        self._names, self._salt = tuple(names), salt
        self._shares = dict.fromkeys(names, 0.0)
        self._named: dict[str, str] = {}
        self.settings = frozenset(key for name in names for key in (f"{name}_share", f"{name}s"))

    def configure(self, settings: dict[str, Any]) -> None:
        """Take the settings that are of fates. ``ValueError`` for shares of more than all."""
        for name in self._names:
            self._shares[name] = float(settings.get(f"{name}_share", self._shares[name]))
            if f"{name}s" in settings:
                self._named = {a: n for a, n in self._named.items() if n != name}
                self._named |= {str(each).lower(): name for each in settings[f"{name}s"]}
        if min(self._shares.values()) < 0 or sum(self._shares.values()) > 1:
            raise ValueError("shares are from 0 to 1, and no more than 1 together")

    def of(self, address: str) -> str | None:
        """The fate of a message to this address; nothing when it arrives."""
        address = address.lower()
        if address in self._named:
            return self._named[address]
        if not any(self._shares.values()):
            return None
        place = int(hashlib.sha256(f"{self._salt} {address}".encode()).hexdigest()[:8], 16) / 2**32
        for name in self._names:
            place -= self._shares[name]
            if place < 0:
                return name
        return None
