"""Counts of what sampled values look like: all that is left of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from include.privacy.detection.patterns import card_shaped, looks
from include.privacy.policy.looks import Kind

LEAVES = 200
"""Values of one document that are looked at."""


@dataclass
class Tally:
    """How many values were looked at, and how many looked like what; a document is one value."""

    looked: int = 0
    found: Counter[Kind] = field(default_factory=Counter)
    card_shaped: int = 0

    def add(self, value: str, name: str = "", *, document: bool = False) -> None:
        """Look at a value; ``name`` is its column. ``document``: JSON, whose leaves have their own."""
        self.looked += 1
        seen: set[Kind] = set()
        shaped = False
        for key, leaf in _leaves(value, name) if document else ((name, value),):
            seen |= looks(leaf, key)
            shaped = shaped or card_shaped(leaf)
        self.found.update(seen)
        self.card_shaped += shaped

    def kinds(self, share: float, at_least: int) -> dict[Kind, int]:
        """What the values look like: found in this ``share`` of them, and in ``at_least`` so many.

        One number of sixteen digits in ten passes the check of a card by chance: where most do not, they
        are other numbers.
        """
        return {
            kind: count
            for kind, count in self.found.items()
            if count >= at_least
            and count >= share * self.looked
            and not (kind is Kind.card and 2 * count < self.card_shaped)
        }


def leaves(root: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """At most :data:`LEAVES` values of a document, under their keys; keys too: one can be an address."""
    queue: list[tuple[str, Any]] = [(name, root)]
    left = LEAVES
    while queue and left:
        key, value = queue.pop()
        if isinstance(value, dict):
            queue += [(str(k), v) for k, v in value.items()]
            queue += [("", str(k)) for k in value]
        elif isinstance(value, list):
            queue += [(key, each) for each in value]
        elif value is not None and not isinstance(value, bool):
            left -= 1
            yield key, str(value)


def _leaves(text: str, name: str) -> Iterator[tuple[str, str]]:
    """What is no JSON (one cut short, say) is a text."""
    try:
        root = json.loads(text)
    except (ValueError, RecursionError):
        return iter([(name, text)])
    return leaves(root, name)
