"""The promises of the privacy policy, and the words with which policy.yaml says what keeps them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from include.privacy.policy.policy import Promise

_COUNTS = {1: 1, 2: 4, 3: 2, 4: 5, 5: 7, 6: 7, 7: 5, 8: 2}

#: Every promise that the policy makes (DESIGN §2), in its order.
PROMISES: tuple[str, ...] = tuple(
    f"P{part}.{n}" for part, count in _COUNTS.items() for n in range(1, count + 1)
)

#: The longest time that a promise allows, in days. Not ours to change.
UPPER_LIMITS = {"P4.2": 90, "P4.3": 180}

#: Requests are answered within so many business days. Not ours to change either.
ANSWER_PROMISE, ANSWER_BUSINESS_DAYS = "P6.6", 14

#: Days that a promise grants the person as well: shorter would break it too.
SERVED_DAYS = {"P4.1": 30}

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Keeper:
    """One entry of ``enforced_by``."""

    kind: Literal["rule", "dag", "planned", "outside"]
    name: str
    malformed: str | None = None


def keepers(promise: Promise, rules: AbstractSet[str]) -> Iterator[Keeper]:
    """What keeps the promise. A plain name is a rule if there is one of that id, else a DAG."""
    for entry in promise.enforced_by:
        word, colon, rest = (part.strip() for part in entry.partition(":"))
        if colon and word == "outside":
            yield Keeper("outside", rest, None if rest else "does not say who answers for it")
        elif word == "planned":
            ok = colon and _NAME.fullmatch(rest)
            yield Keeper("planned", rest, None if ok else "does not name the DAG that is planned")
        elif colon or not _NAME.fullmatch(word):
            yield Keeper("dag", entry, f"{entry!r} is neither a rule, a DAG, planned nor outside")
        else:
            yield Keeper("rule" if word in rules else "dag", word)
