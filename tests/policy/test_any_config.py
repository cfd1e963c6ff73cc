"""Whatever somebody writes into a configuration file: it loads, or every problem says what to do."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from include.privacy.policy.loading import ConfigError, Problem, load_config
from tests.policy import configs

DOCUMENTS = {
    "policy": configs.policy(),
    "calendar": configs.calendar(),
    "people": configs.people(),
    "archive": configs.archive(),
}

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10**20),
    st.floats(),
    st.sampled_from(["", " ", "delete", "id", "email", "ünï", "accounts", "backups/", "a" * 100, "P4.2"]),
    st.just([]),
    st.just({}),
    st.just([[]]),
    st.just({"set": None}),
    st.just({"column": "email", "identifier": "email"}),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path] * bool(path) + [p for key, child in children for p in _places(child, (*path, key))]


def problems(folder: Path) -> list[Problem]:
    """None when it loads; any other exception than ``ConfigError`` fails the test."""
    try:
        load_config(folder)
    except ConfigError as error:
        return error.problems
    return []


PLACES = [(name, path) for name, value in DOCUMENTS.items() for path in _places(value)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), junk, st.booleans()), min_size=1, max_size=3))
def test_any_change_loads_or_is_explained(
    changes: list[tuple[tuple[str, tuple[Any, ...]], Any, bool]],
) -> None:
    documents = copy.deepcopy(DOCUMENTS)
    for (name, path), value, remove in changes:
        target: Any = documents[name]
        try:
            for part in path[:-1]:
                target = target[part]
            if remove:
                del target[path[-1]]
            else:
                target[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    with tempfile.TemporaryDirectory() as folder:
        written = configs.write(
            Path(folder),
            policy_value=documents["policy"],
            calendar_value=documents["calendar"],
            people_value=documents["people"],
            archive_value=documents["archive"],
        )
        for problem in problems(written):
            assert problem.message
            assert problem.fix
            assert problem.line > 0
            assert "\n" not in str(problem)
