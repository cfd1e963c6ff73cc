"""Reading ahead: a listing goes on in another thread while the caller works on what it has."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """The same items, the next one being fetched while the current one is worked on."""
    source = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="list-ahead") as pool:

        def fetch() -> tuple[T] | None:
            for item in source:
                return (item,)
            return None

        future = pool.submit(fetch)
        while (found := future.result()) is not None:
            future = pool.submit(fetch)
            yield found[0]


def parallel(function: Callable[[T], R], items: Iterable[T], workers: int = 8) -> Iterator[R]:
    """``map`` in threads, in order, with at most ``4 * workers`` results waiting: memory stays flat."""
    with ThreadPoolExecutor(workers, thread_name_prefix="objects") as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
