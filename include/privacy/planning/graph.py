"""Order of deletion: children before parents, cycles kept together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def children_first(tables: Iterable[str], references: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """Strongly connected groups of tables, referencing tables before the referenced.

    ``references[child]`` are the tables that the child points at. A group of more than one table
    is a cycle. Deterministic: ties are broken by name (Tarjan's algorithm, iterative).
    """
    nodes = sorted(set(tables))
    known = set(nodes)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    parents_first: list[tuple[str, ...]] = []
    for start in nodes:
        if start in index:
            continue
        work = [(start, iter(sorted(references.get(start, set()) & known)))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, targets = work[-1]
            target = next((t for t in targets), None)
            if target is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    group = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        group.append(member)
                        if member == node:
                            break
                    parents_first.append(tuple(sorted(group)))
            elif target not in index:
                index[target] = low[target] = len(index)
                stack.append(target)
                on_stack.add(target)
                work.append((target, iter(sorted(references.get(target, set()) & known))))
            elif target in on_stack:
                low[node] = min(low[node], index[target])
    return parents_first[::-1]


def reachable(table: str, references: Mapping[str, set[str]]) -> set[str]:
    """The table and everything it points at, directly or through others.

    Rows that a kept row points at cannot be deleted either: what is held holds its parents.
    """
    found = {table}
    queue = [table]
    while queue:
        for target in references.get(queue.pop(), set()) - found:
            found.add(target)
            queue.append(target)
    return found
