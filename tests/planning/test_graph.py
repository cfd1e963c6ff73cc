"""Order of deletion."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from include.privacy.planning.graph import children_first, reachable

NAMES = [f"t{i}" for i in range(7)]
graphs = st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES), max_size=4))


@given(graphs)
def test_every_table_comes_before_what_it_references_unless_they_form_a_cycle(
    graph: dict[str, set[str]],
) -> None:
    groups = children_first(NAMES, graph)
    position = {name: i for i, group in enumerate(groups) for name in group}
    assert sorted(position) == NAMES
    for child, parents in graph.items():
        for parent in parents:
            assert position[child] <= position[parent]


@given(graphs)
def test_tables_share_a_group_exactly_when_each_reaches_the_other(graph: dict[str, set[str]]) -> None:
    groups = children_first(NAMES, graph)
    together = {frozenset((a, b)) for group in groups for a in group for b in group}
    for a in NAMES:
        for b in NAMES:
            mutual = a == b or (b in reachable(a, graph) and a in reachable(b, graph))
            assert (frozenset((a, b)) in together) == mutual
