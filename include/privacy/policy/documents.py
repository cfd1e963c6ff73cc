"""YAML files that remember on which line each field stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from include.privacy.policy.problems import Problem

Loc = tuple[str | int, ...]

# libyaml is many times faster, and every task reads the configuration; not every wheel has it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """A parsed file and the line (from 1) of every field in it."""

    file: str
    value: Any = None
    lines: Mapping[Loc, int] = field(default_factory=dict)

    def line(self, loc: Loc) -> int:
        """The line of the field, or of the nearest field around it."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def problem(self, loc: Loc, message: str, fix: str) -> Problem:
        """A problem at this field."""
        return Problem(self.file, self.line(loc), field_name(loc), message, fix)


def field_name(loc: Loc) -> str:
    """``("rules", 2, "clock")`` as people write it: ``rules[2].clock``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".") or "(whole file)"


def read_document(path: Path, name: str | None = None) -> tuple[Document, list[Problem]]:
    """Parse one YAML file. A file that cannot be read or parsed is a problem, not an exception."""
    file = name or str(path)
    empty = Document(file)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return empty, [
            empty.problem((), "the file does not exist", "create it, or correct PRIVACY_CONFIG_DIR")
        ]
    except (OSError, UnicodeDecodeError) as error:
        return empty, [
            empty.problem((), f"the file cannot be read ({type(error).__name__})", "make it readable UTF-8")
        ]
    return parse_document(text, file)


def parse_document(text: str, file: str) -> tuple[Document, list[Problem]]:
    """Parse the text of a YAML file; ``file`` is its name in problems.

    Written twice, a key silently loses its first value in YAML; here that is a problem.
    """
    empty = Document(file)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        repeated = list(_repeated_keys(node, ())) if node else []
        value = loader.construct_document(node) if node else None
    except yaml.YAMLError as error:
        return empty, [_syntax(error, file)]
    except ValueError as error:  # an impossible date, for example
        return empty, [
            empty.problem((), f"a value cannot be read: {error}", "quote it if it is meant as text")
        ]
    finally:
        loader.dispose()
    lines = dict(_positions(node, ())) if node else {}
    document = Document(file, value, lines)
    problems = [
        Problem(
            file,
            line,
            field_name(loc),
            "is written twice",
            f"keep one; the first is on line {document.line(loc)}",
        )
        for loc, line in repeated
    ]
    if not isinstance(value, dict):
        problems.append(
            document.problem((), "the file must hold fields (name: value)", "see the shipped example")
        )
    return document, problems


def _syntax(error: yaml.YAMLError, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 1
    message = getattr(error, "problem", None) or "no valid YAML"
    return Problem(
        file, line, "(whole file)", f"YAML: {message}", "check indentation, colons and quotes near this line"
    )


def _key(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _repeated_keys(
    node: yaml.Node, loc: Loc, above: frozenset[int] = frozenset()
) -> Iterator[tuple[Loc, int]]:
    if id(node) in above:  # an alias that contains itself
        return
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = _key(key)
            here = (*loc, name)
            if name in seen and name != "<<":
                yield here, key.start_mark.line + 1
            seen.add(name)
            yield from _repeated_keys(value, here, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, (*loc, index), above)


def _positions(node: yaml.Node, loc: Loc, above: frozenset[int] = frozenset()) -> Iterator[tuple[Loc, int]]:
    if id(node) in above:
        return
    above = above | {id(node)}
    if not loc:
        yield loc, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[Loc] = set()
        for key, value in node.value:
            here = (*loc, _key(key))
            if here not in seen:
                yield here, key.start_mark.line + 1
                yield from _positions(value, here, above)
            seen.add(here)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*loc, index), item.start_mark.line + 1
            yield from _positions(item, (*loc, index), above)
