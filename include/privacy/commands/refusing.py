"""What the command line says instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from include.privacy.policy.problems import Problem


class RefusedError(Exception):
    """Something that the person at the keyboard can put right; the message says what."""


def complain(problems: Sequence[Problem]) -> None:
    """Each problem on a line of its own, and how many there are."""
    print(*sorted(set(problems)), sep="\n", file=sys.stderr)
    print(f"{len(set(problems))} problem(s)", file=sys.stderr)
