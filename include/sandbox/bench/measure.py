"""Time, statements and memory of a piece of work."""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg


@dataclass
class Report:
    """Figures by name, printed as they come and stored as JSON at the end."""

    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, **values: Any) -> None:
        """Records and prints one result."""
        self.figures[name] = values
        shown = "  ".join(f"{key}={_short(value)}" for key, value in values.items())
        print(f"{name:<42} {shown}", flush=True)

    def to_json(self) -> str:
        """Everything, with the machine's Python."""
        return json.dumps({"python": sys.version.split()[0], "figures": self.figures}, indent=2)


def _short(value: Any) -> str:
    return (
        f"{value:.3g}"
        if isinstance(value, float) and value < 100
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )


def seconds(work: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call, garbage collected before."""
    gc.collect()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median(values: list[float]) -> float:
    """The middle of the repetitions."""
    return statistics.median(values)


def peak_mib(work: Callable[[], Any]) -> float:
    """Peak memory that Python code allocated during the call, in MiB (the driver's C buffers excluded)."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@contextmanager
def counted_statements() -> Iterator[list[int]]:
    """Counts the statements that psycopg sends while the block runs (a list of one number)."""
    count = [0]
    execute = psycopg.Cursor.execute

    def counting(self: Any, *arguments: Any, **options: Any) -> Any:
        count[0] += 1
        return execute(self, *arguments, **options)

    psycopg.Cursor.execute = counting  # type: ignore[method-assign]
    try:
        yield count
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign]
